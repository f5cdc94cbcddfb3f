"""A chunk as records: parsed, filtered, in the types the model takes; what cannot be read is a bad record."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.model.signature import InputError
from orchestrator.serving.batch import records, values
from orchestrator.serving.batch.isolation import Bad
from orchestrator.serving.batch.jsonpath import AbsentError
from orchestrator.serving.batch.records import Chunk, Line
from orchestrator.serving.batch.task import Record, Task


def read(task: Task, chunk: Chunk, types: Mapping[str, str]) -> list[Record]:
    """The records of a chunk; `types` are those of the model's columns."""
    return _READERS[task.source.format](task, chunk, types)


def _jsonl(task: Task, chunk: Chunk, _types: Mapping[str, str]) -> list[Record]:
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


def _csv(task: Task, chunk: Chunk, types: Mapping[str, str]) -> list[Record]:
    feeds = [(column, name, types.get(name, "any")) for column, name in task.feeds.items()]
    found = []
    for line, row in zip(chunk.lines, _rows(task, chunk), strict=True):
        text = line.text.decode("utf-8", "replace")
        if isinstance(row, Bad):
            found.append(
                Record(row, _typed(task, dict.fromkeys(task.source.columns, ""), row, types), line.number, text)
            )
            continue
        given: Any
        try:
            given = {name: values.read(row[column], kind, name) for column, name, kind in feeds}
        except InputError as error:
            given = Bad(error.message)
        found.append(Record(given, _typed(task, row, given, types), line.number, text))
    return found


def _rows(task: Task, chunk: Chunk) -> list[dict[str, Any] | Bad]:
    """The cells of each line by column; together where all are in order, one by one where not."""
    names = task.source.columns
    if not any(line.problem for line in chunk.lines):
        with contextlib.suppress(UnicodeDecodeError, csv.Error):
            texts = [line.text.decode() for line in chunk.lines]
            read = list(csv.reader(texts, delimiter=task.source.delimiter, strict=True))
            if len(read) == len(texts) and set(map(len, read)) == {len(names)}:
                return [dict(zip(names, cells, strict=True)) for cells in read]
    return [_row(line, task) for line in chunk.lines]


def _row(line: Line, task: Task) -> dict[str, Any] | Bad:
    if line.problem:
        return Bad(line.problem)
    names = task.source.columns
    try:
        text = io.StringIO(line.text.decode(), newline="")
        cells = next(csv.reader(text, delimiter=task.source.delimiter, strict=True), [])
    except UnicodeDecodeError:
        return Bad("the record is not UTF-8")
    except csv.Error as error:
        return Bad(f"not valid CSV: {error}")
    if len(cells) != len(names):
        return Bad(f"the row has {len(cells)} cells, not {len(names)}")
    return dict(zip(names, cells, strict=True))


def _typed(task: Task, row: dict[str, Any], given: Any, types: Mapping[str, str]) -> dict[str, Any]:
    """The row with the values the model has read, where the output has types; of a bad row only texts are any."""
    if not isinstance(given, Bad) and task.output != "csv":
        return {**row, **{column: given[name] for column, name in task.feeds.items()}}
    if isinstance(given, Bad) and task.output == "parquet":
        return {**row, **{column: None for column, name in task.feeds.items() if types.get(name) != "string"}}
    return row


def _parquet(task: Task, chunk: Chunk, _types: Mapping[str, str]) -> list[Record]:
    found = []
    for row in records.rows(chunk.table).to_pylist():
        whole = {name: values.plain(value) for name, value in row.items()}
        given = {name: values.taken(row[column]) for column, name in task.feeds.items()}
        found.append(Record(given, whole, 0, whole))
    return found


_Reader = Callable[[Task, Chunk, Mapping[str, str]], list[Record]]
_READERS: Mapping[str, _Reader] = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
