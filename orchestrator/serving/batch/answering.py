"""A chunk of records answered: read, filtered, predicted, joined, filtered again and written as the output holds it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model import signature as signatures
from orchestrator.model.signature import InputError
from orchestrator.serving.batch import isolation, records, values
from orchestrator.serving.batch.isolation import Bad
from orchestrator.serving.batch.jsonpath import AbsentError
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.records import Chunk, Line, Source
from orchestrator.serving.batch.values import Cell
from orchestrator.serving.hosted import Model


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with the records of one file."""

    source: Source
    plan: Plan
    output: str
    # The model's column each column of a table feeds: by its name, or by its place where there is no header.
    feeds: Mapping[str, str] = field(default_factory=dict)
    # Of a table that is written: its columns, and those of the source and of the model among them.
    columns: tuple[str, ...] = ()
    cells: Mapping[str, Cell] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that has no prediction: which one, in which line, why, and what it was."""

    record: int
    line: int
    reason: str
    input: Any


@dataclass(frozen=True, slots=True)
class Answered:
    """The records of a chunk as they are written, and those that are bad."""

    bodies: tuple[bytes, ...]
    rejected: tuple[Rejected, ...] = ()
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Record:
    """One record: what the model is given (or Bad), what it is joined with, and how it stood in the file."""

    given: Any
    whole: Any
    line: int
    text: Any


def answer(model: Model, task: Task, chunk: Chunk) -> Answered:
    """The chunk's predictions, in order; a bad record keeps its place."""
    read = _READERS[task.source.format](task, chunk, model)
    good = [each.given for each in read if not isinstance(each.given, Bad)]
    unread = _unread(good, model) if task.source.format == "jsonl" else frozenset[str]()
    predicted = iter(isolation.each(lambda some: _predicted(model, task, some), good, task.plan.retries))
    found = [each.given if isinstance(each.given, Bad) else next(predicted) for each in read]
    return finished(task, chunk, read, found, unread)


def refused(task: Task, chunk: Chunk, reason: str) -> Answered:
    """A chunk of which no record has a prediction, for one reason."""
    read = _READERS[task.source.format](task, chunk, None)
    return finished(task, chunk, read, [Bad(reason)] * len(read))


def finished(
    task: Task, chunk: Chunk, read: Sequence[Record], found: Sequence[Any], unread: frozenset[str] = frozenset()
) -> Answered:
    """The records with their predictions, as the output holds them."""
    rejected = tuple(
        Rejected(chunk.first + at, record.line, one.reason, record.text)
        for at, (record, one) in enumerate(zip(read, found, strict=True))
        if isinstance(one, Bad)
    )
    return Answered((_WRITERS[task.output](task, chunk, read, found),), rejected, unread)


def line(cells: Sequence[Any], delimiter: str) -> bytes:
    """Cells as a line of CSV."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


def empty(task: Task) -> bytes:
    """A table of the output without rows."""
    import pyarrow as pa

    fields = []
    for name in task.columns:
        joined = task.source.schema is not None and name not in task.cells
        kind = task.source.schema.field(name).type if joined else _array(task.types.get(name, "string"), []).type
        fields.append(pa.field(name, kind))
    return records.packed(pa.schema(fields).empty_table())


def respond(model: Model, body: bytes, kind: str) -> bytes:
    """The answer to a file that is one request. Raises InputError, OrchestratorError."""
    own = getattr(model, "respond", None)
    if own is not None:
        answered: tuple[bytes, str] = own(body, kind, "application/json")
        return answered[0]
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the file is not JSON: {error}", hint='it holds {"instances": [...]}') from error
    instances = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(instances, list) or not instances:
        raise InputError("the file has no list of instances", hint='it holds {"instances": [...]}, or the list alone')
    predictions = _predicted(model, None, instances)
    return json.dumps({"predictions": list(predictions)}, ensure_ascii=False).encode()


def _predicted(model: Model, task: Task | None, given: Sequence[Any]) -> Sequence[Any]:
    if _is_of_bodies(model):
        return [_body(model, task, each) for each in given]
    kinds = set(map(type, given))
    if kinds == {dict}:
        known = {column.name for column in model.signature.inputs}
        columns = signatures.columns_from_records(
            model.signature, [{name: each[name] for name in each if name in known} for each in given]
        )
    elif kinds == {list}:
        columns = signatures.columns_from_rows(model.signature, given)
    elif len(kinds) > 1:
        raise InputError("records and lists stand in turn")
    else:
        raise InputError("the record is neither an object nor a list of values")
    outputs = model.outputs(columns)
    return values.records(outputs, getattr(model, "classes", None), len(given))


def _is_of_bodies(model: Model) -> bool:
    """Whether a model takes bodies of its own and no rows: each record is then a body."""
    return not model.example and getattr(model, "respond", None) is not None


def _body(model: Any, task: Task | None, given: Any) -> Any:
    is_csv = task is not None and task.source.format == "csv"
    body = line(list(given.values()), ",") if is_csv else json.dumps(given, ensure_ascii=False).encode()
    answered, _ = model.respond(body, "text/csv" if is_csv else "application/json", "application/json")
    try:
        return json.loads(answered)
    except (ValueError, RecursionError):
        return answered.decode("utf-8", "replace")


def _unread(given: Iterable[Any], model: Model) -> frozenset[str]:
    if _is_of_bodies(model):
        return frozenset()
    known = {column.name for column in model.signature.inputs} | set(model.signature.ignored)
    return frozenset(name for each in given if isinstance(each, dict) for name in each if name not in known)


def _jsonl(task: Task, chunk: Chunk, _model: Model | None) -> list[Record]:
    found = []
    for line in chunk.lines:
        text = line.text.decode("utf-8", "replace")
        if line.problem:
            found.append(Record(Bad(line.problem), None, line.number, text))
            continue
        whole = None
        try:
            whole = json.loads(line.text.decode(), parse_constant=_constant)
            given = task.plan.input_filter.of(whole)
        except UnicodeDecodeError:
            given = Bad("the record is not UTF-8")
        except (ValueError, RecursionError) as error:
            given = Bad(f"not valid JSON: {error}")
        except AbsentError:
            given = Bad(f"the filter {task.plan.input_filter.text} finds nothing in it")
        found.append(Record(given, whole, line.number, text))
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _csv(task: Task, chunk: Chunk, model: Model | None) -> list[Record]:
    types = {column.name: column.type for column in model.signature.inputs} if model else {}
    found = []
    for line in chunk.lines:
        text = line.text.decode("utf-8", "replace")
        row: dict[str, Any] = dict.fromkeys(task.source.columns, "")
        given: Any
        try:
            row = _row(line, task)
            given = {
                name: values.read(row[column], types.get(name, "any"), name) for column, name in task.feeds.items()
            }
        except UnicodeDecodeError:
            given = Bad("the record is not UTF-8")
        except csv.Error as error:
            given = Bad(f"not valid CSV: {error}")
        except InputError as error:
            given = Bad(error.message)
        if task.output != "csv":
            # What has types gets the values the model has read.
            row |= {column: None if isinstance(given, Bad) else given[name] for column, name in task.feeds.items()}
        found.append(Record(given, row, line.number, text))
    return found


def _row(line: Line, task: Task) -> dict[str, Any]:
    if line.problem:
        raise InputError(line.problem)
    names = task.source.columns
    text = io.StringIO(line.text.decode(), newline="")
    cells = next(csv.reader(text, delimiter=task.source.delimiter, strict=True), [])
    if len(cells) != len(names):
        raise InputError(f"the row has {len(cells)} cells, not {len(names)}")
    return dict(zip(names, cells, strict=True))


def _parquet(task: Task, chunk: Chunk, _model: Model | None) -> list[Record]:
    found = []
    for row in records.rows(chunk.table).to_pylist():
        whole = {name: values.plain(value) for name, value in row.items()}
        given = {name: whole[column] for column, name in task.feeds.items()}
        found.append(Record(given, whole, 0, whole))
    return found


def _as_jsonl(task: Task, _chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    plan, lines = task.plan, []
    for record, one in zip(read, found, strict=True):
        value: Any = {"error": one.reason} if isinstance(one, Bad) else one
        if plan.joins:
            whole = record.whole if isinstance(record.whole, dict) else {"input": record.whole}
            value = {**whole, plan.name: value}
        try:
            value = plan.output_filter.of(value)
        except AbsentError:
            value = None
        lines.append(json.dumps(value, ensure_ascii=False, default=str))
    return "".join(f"{line}\n" for line in lines).encode()


def _as_csv(task: Task, _chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=task.source.delimiter, lineterminator="\n")
    for record, one in zip(read, found, strict=True):
        writer.writerow([_text(_cell(task, name, record, one)) for name in task.columns])
    return buffer.getvalue().encode()


def _as_parquet(task: Task, chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    import pyarrow as pa

    table = records.rows(chunk.table) if chunk.rows else None
    arrays = [
        table[name].combine_chunks()
        if table is not None and name not in task.cells
        else _array(
            task.types.get(name, "string"),
            [_cell(task, name, record, one) for record, one in zip(read, found, strict=True)],
        )
        for name in task.columns
    ]
    return records.packed(pa.table(dict(zip(task.columns, arrays, strict=True))))


def _array(kind: str, column: list[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "timestamp":
        return pc.cast(pa.array(column, pa.string()), pa.timestamp("us"))
    if kind == "string":
        column = [None if value is None else str(value) for value in column]
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
    return pa.array(column, kinds[kind])


def _cell(task: Task, name: str, record: Record, one: Any) -> Any:
    cell = task.cells.get(name)
    if cell is None:
        return record.whole[name]
    if isinstance(one, Bad):
        return None
    value = one[cell.output] if isinstance(one, dict) else one
    if cell.place is None:
        return value
    return (list(value.values()) if isinstance(value, dict) else value)[cell.place]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_Reader = Callable[[Task, Chunk, Model | None], list[Record]]
_Writer = Callable[[Task, Chunk, Sequence[Record], Sequence[Any]], bytes]
_READERS: Mapping[str, _Reader] = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
_WRITERS: Mapping[str, _Writer] = {"jsonl": _as_jsonl, "csv": _as_csv, "parquet": _as_parquet}
