"""Which columns feed the model, and which ones a table of predictions has: known before the first record is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from orchestrator.errors import OrchestratorError, did_you_mean
from orchestrator.serving.batch import output, plan, records, writing
from orchestrator.serving.batch.output import Sink
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.records import Source
from orchestrator.serving.batch.task import Task
from orchestrator.serving.batch.values import Cell
from orchestrator.serving.batch.worker import Ready

_WORDS = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}


def task(source: Source, wanted: Plan, ready: Ready, place: str) -> Task:
    """What is done with the records of a file. Raises OrchestratorError for what cannot be."""
    kind = wanted.output_format or plan.format_of(place) or source.format
    feeds = _feeds(source, wanted, ready) if source.format != "jsonl" else {}
    if kind == "jsonl":
        return Task(source, wanted, kind, feeds)
    if ready.problem:
        message = f"{ready.problem}, so they do not fit into a table"
        raise OrchestratorError(message, hint="write JSON Lines: name the output .jsonl")
    if wanted.joins and source.format == "jsonl":
        message = f"records of JSON Lines have no columns in common that a file of {_WORDS[kind]} could have"
        raise OrchestratorError(message, hint="name the output .jsonl, or leave the join out")
    joined = list(source.columns) if wanted.joins else []
    cells = {f"{wanted.name}.{cell.name}" if wanted.joins else cell.name: cell for cell in ready.cells}
    if taken := [name for name in joined if name in cells]:
        hint = "give the predictions another name: --name NAME"
        raise OrchestratorError(f"{source.name}: there is a column {taken[0]!r} already", hint=hint)
    columns = wanted.output_filter.columns([*joined, *cells], "the output")
    typed = dict(ready.inputs)
    types = {column: typed.get(name, "string") for column, name in feeds.items()}
    types |= {name: cell.type for name, cell in cells.items()}
    return Task(source, wanted, kind, feeds, tuple(columns), _chosen(cells, columns), types)


def sink(task: Task, file: IO[bytes], name: str) -> Sink:
    """What the output is written with."""
    if task.output == "parquet":
        return output.Tables(file, records.rows(writing.empty(task)))
    header = b""
    if task.output == "csv" and task.source.header:
        header = writing.line(task.columns, task.source.delimiter)
    return output.Texts(file, name, header)


def unread(task: Task, ready: Ready) -> frozenset[str]:
    """The columns of a table that the model is not given, and does not know."""
    known = {*task.feeds, *ready.ignored}
    return frozenset(name for name in task.source.columns if task.source.header and name not in known)


def _feeds(source: Source, wanted: Plan, ready: Ready) -> Mapping[str, str]:
    given = wanted.input_filter.columns(source.columns, source.name)
    names = [name for name, _ in ready.inputs]
    if not names:
        return {column: column for column in given}
    if not source.header:
        if len(given) != len(names):
            message = f"{source.name}: the model takes {len(names)} columns, the file gives it {len(given)}"
            raise OrchestratorError(message, hint=f"it takes, in this order: {', '.join(names)}")
        return dict(zip(given, names, strict=True))
    lacking = [name for name in names if name not in given]
    if lacking:
        listed = ", ".join(map(repr, lacking[:5])) + (" ..." if len(lacking) > 5 else "")
        hint = did_you_mean(lacking[0], given)
        raise OrchestratorError(f"{source.name}: there is no column {listed}, which the model takes", hint=hint)
    return {name: name for name in names}


def _chosen(cells: Mapping[str, Cell], columns: Sequence[Any]) -> dict[str, Cell]:
    return {name: cell for name, cell in cells.items() if name in columns}
