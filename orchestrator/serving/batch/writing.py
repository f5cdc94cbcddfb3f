"""Records and their predictions as a file holds them: joined, filtered, one line or row for each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.serving.batch import records
from orchestrator.serving.batch.isolation import Bad
from orchestrator.serving.batch.jsonpath import AbsentError
from orchestrator.serving.batch.records import Chunk
from orchestrator.serving.batch.task import Record, Task


def write(task: Task, chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    """The records of a chunk with what was found for each: a prediction, or Bad."""
    return _WRITERS[task.output](task, chunk, read, found)


def line(cells: Sequence[Any], delimiter: str) -> bytes:
    """Cells as a line of CSV."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return _encoded(buffer.getvalue())


def empty(task: Task) -> bytes:
    """A table of the output without rows."""
    import pyarrow as pa

    fields = []
    for name in task.columns:
        joined = task.source.schema is not None and name not in task.cells
        kind = task.source.schema.field(name).type if joined else _array(task.types.get(name, "string"), []).type
        fields.append(pa.field(name, kind))
    return records.packed(pa.schema(fields).empty_table())


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
    return _encoded("".join(f"{line}\n" for line in lines))


def _as_csv(task: Task, _chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    columns = [_texts(_column(task, name, read, found)) for name in task.columns]
    csv.writer(buffer, delimiter=task.source.delimiter, lineterminator="\n").writerows(zip(*columns, strict=True))
    return _encoded(buffer.getvalue())


def _as_parquet(task: Task, chunk: Chunk, read: Sequence[Record], found: Sequence[Any]) -> bytes:
    import pyarrow as pa

    table = records.rows(chunk.table) if chunk.rows else None
    arrays = [
        table[name].combine_chunks()
        if table is not None and name not in task.cells
        else _array(task.types.get(name, "string"), _column(task, name, read, found))
        for name in task.columns
    ]
    return records.packed(pa.table(dict(zip(task.columns, arrays, strict=True))))


def _array(kind: str, column: list[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "timestamp":
        return pc.cast(pa.array(column, pa.string()), pa.timestamp("us"))
    if kind == "string":
        column = [None if value is None else _encoded(str(value)).decode() for value in column]
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
    return pa.array(column, kinds[kind])


def _column(task: Task, name: str, read: Sequence[Record], found: Sequence[Any]) -> list[Any]:
    """A column of the output: the source's own, or what the predictions have for it."""
    cell = task.cells.get(name)
    if cell is None:
        return [record.whole[name] for record in read]
    values = [None if isinstance(one, Bad) else one[cell.output] for one in found]
    if cell.place is None:
        return values
    place = cell.place
    if any(isinstance(value, dict) for value in values):  # By class, in the order of the classes.
        values = [None if value is None else list(value.values()) for value in values]
    return [None if value is None else value[place] for value in values]


def _encoded(text: str) -> bytes:
    """Text as bytes; half of a pair of surrogates, which JSON can escape and UTF-8 cannot hold, is escaped again."""
    return text.encode(errors="backslashreplace")


def _texts(column: list[Any]) -> list[Any]:
    """A column as CSV has it; the writer knows numbers, texts and what is missing."""
    if not {bool, list, dict} & set(map(type, column)):
        return column
    return [str(value).lower() if isinstance(value, bool) else value for value in column]


_Writer = Callable[[Task, Chunk, Sequence[Record], Sequence[Any]], bytes]
_WRITERS: Mapping[str, _Writer] = {"jsonl": _as_jsonl, "csv": _as_csv, "parquet": _as_parquet}
