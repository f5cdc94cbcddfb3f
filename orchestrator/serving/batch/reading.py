"""A chunk as records: parsed, filtered, in the types the model takes; what cannot be read is a bad record."""

from __future__ import annotations

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
        row = _typed(task, row, given, types)
        found.append(Record(given, row, line.number, text))
    return found


def _typed(task: Task, row: dict[str, Any], given: Any, types: Mapping[str, str]) -> dict[str, Any]:
    """The row with the values the model has read, where the output has types; of a bad row only texts are any."""
    if not isinstance(given, Bad) and task.output != "csv":
        return {**row, **{column: given[name] for column, name in task.feeds.items()}}
    if isinstance(given, Bad) and task.output == "parquet":
        return {**row, **{column: None for column, name in task.feeds.items() if types.get(name) != "string"}}
    return row


def _row(line: Line, task: Task) -> dict[str, Any]:
    if line.problem:
        raise InputError(line.problem)
    names = task.source.columns
    text = io.StringIO(line.text.decode(), newline="")
    cells = next(csv.reader(text, delimiter=task.source.delimiter, strict=True), [])
    if len(cells) != len(names):
        raise InputError(f"the row has {len(cells)} cells, not {len(names)}")
    return dict(zip(names, cells, strict=True))


def _parquet(task: Task, chunk: Chunk, _types: Mapping[str, str]) -> list[Record]:
    found = []
    for row in records.rows(chunk.table).to_pylist():
        whole = {name: values.plain(value) for name, value in row.items()}
        given = {name: values.taken(row[column]) for column, name in task.feeds.items()}
        found.append(Record(given, whole, 0, whole))
    return found


_Reader = Callable[[Task, Chunk, Mapping[str, str]], list[Record]]
_READERS: Mapping[str, _Reader] = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
