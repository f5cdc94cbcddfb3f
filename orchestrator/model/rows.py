"""The rows in a body that a program of its own takes: read off its example, so that tensors can be written likewise."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.model import signature as signatures
from orchestrator.model.signature import Array, Column, Columns, Type, missing

JSON = "application/json"
CSV = "text/csv"
# Under which of these names rows stand in an object; V1 of the protocol says `instances`.
CONTAINERS = ("instances", "inputs", "data", "rows")
PREDICTIONS = ("predictions", "outputs", "results")


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written: as JSON, below a key or bare, each a record or a list; or as CSV with or without names."""

    content_type: str
    key: str = ""
    records: bool = False
    # Of a model of one column: each row is its value, not a list of one.
    bare: bool = False
    header: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of an example and how they were written."""

    form: Form
    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Their columns, each of the type of its values; an example does not say that a value may never be missing."""
        kinds = [_type([row[place] for row in self.rows]) for place in range(len(self.names))]
        return tuple(Column(name, kind, nullable=True) for name, kind in zip(self.names, kinds, strict=True))

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(dict(zip(self.names, row, strict=True)) for row in self.rows)


def read(body: bytes, content_type: str) -> Table | None:
    """The rows of an example; None when it is not a table, as an image is not."""
    try:
        if content_type == CSV:
            return _csv(body.decode("utf-8-sig"))
        return _json(json.loads(body)) if content_type == JSON else None
    except (ValueError, RecursionError, csv.Error):
        return None


def write(form: Form, inputs: Sequence[Column], columns: Columns) -> bytes:
    """Columns as a body of that form."""
    names = [column.name for column in inputs]
    rows = list(zip(*(_plain(column, columns[column.name]) for column in inputs), strict=True))
    if form.content_type == CSV:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([names, *rows] if form.header else rows)
        return out.getvalue().encode()
    written: Any = [dict(zip(names, row, strict=True)) for row in rows] if form.records else [list(row) for row in rows]
    if form.bare:
        written = [row[0] for row in rows]
    return json.dumps({form.key: written} if form.key else written, allow_nan=False).encode()


def predictions(body: bytes, content_type: str, count: int) -> dict[str, Array]:
    """The answer to `count` rows as named arrays, the first of them the prediction. Raises OrchestratorError."""
    try:
        found: Any = _answered(body.decode()) if content_type == CSV else json.loads(body)
    except (ValueError, RecursionError, csv.Error):
        raise OrchestratorError(f"the model answered with {content_type}, which is no rows") from None
    if isinstance(found, dict):
        named = [key for key in PREDICTIONS if isinstance(found.get(key), list)]
        lists = {key: value for key, value in found.items() if isinstance(value, list) and len(value) == count}
        found = found[named[0]] if named else lists
    outputs = found if isinstance(found, dict) else {"prediction": found}
    arrays = {name: _array(values) for name, values in outputs.items() if isinstance(values, list)}
    if not arrays or any(len(each) != count for each in arrays.values()):
        raise OrchestratorError(f"the model did not answer {count} rows with as many predictions")
    return arrays


def _json(document: Any) -> Table | None:
    key = ""
    if isinstance(document, dict):
        keys = [name for name in CONTAINERS if isinstance(document.get(name), list)]
        if len(document) != 1 or not keys:
            return None
        key = keys[0]
        document = document[key]
    if not isinstance(document, list) or not document:
        return None
    kinds = {type(row) for row in document}
    if kinds == {dict}:
        names = tuple(document[0])
        rows = tuple(tuple(row.get(name) for name in names) for row in document)
        return _flat(Form(JSON, key, records=True), names, rows)
    if kinds == {list} and len({len(row) for row in document}) == 1:
        return _flat(Form(JSON, key), _numbered(len(document[0])), tuple(map(tuple, document)))
    if not kinds & {dict, list}:
        return _flat(Form(JSON, key, bare=True), ("value",), tuple((value,) for value in document))
    return None


def _csv(text: str) -> Table | None:
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    if not lines or len({len(line) for line in lines}) != 1:
        return None
    # Names of columns are never numbers; a line of text alone, with none below, is a row.
    header = len(lines) > 1 and all(isinstance(_cell(value), str) and value for value in lines[0])
    names = tuple(lines[0]) if header else _numbered(len(lines[0]))
    rows = tuple(tuple(_cell(value) for value in line) for line in lines[header:])
    return _flat(Form(CSV, header=header), names, rows)


def _answered(text: str) -> list[Any]:
    """The predictions in lines of CSV."""
    lines = [[_cell(value) for value in line] for line in csv.reader(io.StringIO(text)) if line]
    return [line[0] if len(line) == 1 else line for line in lines]


def _flat(form: Form, names: tuple[str, ...], rows: tuple[tuple[Any, ...], ...]) -> Table | None:
    """The table, unless a value is a list or an object itself, or a column has several kinds of value."""
    if not names or len(set(names)) != len(names):
        return None
    for place in range(len(names)):
        kinds = {type(row[place]) for row in rows} - {type(None)}
        if kinds - {int, float, str, bool} or (len(kinds) > 1 and kinds != {int, float}):
            return None
    return Table(form, names, rows)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"x{number}" for number in range(count))


def _type(values: Sequence[Any]) -> Type:
    kinds = {type(value) for value in values} - {type(None)}
    return "string" if kinds == {str} else "boolean" if kinds == {bool} else "number"


def _cell(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _plain(column: Column, values: Array) -> list[Any]:
    """A column as JSON has it: None where it is missing, 1.0 where a number is 1: what comes of it is one, too."""
    gone = missing(values)
    plain = [str(value) for value in values] if values.dtype.kind == "M" else values.tolist()
    make = _MAKERS.get(column.type)
    return [None if absent else make(value) if make else value for value, absent in zip(plain, gone, strict=True)]


_MAKERS: Mapping[Type, Callable[[Any], Any]] = {"boolean": bool, "integer": int}


def _array(values: list[Any]) -> Array:
    """Predictions as an array: of numbers, of text, or of rows of either."""
    import numpy as np

    if all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        flat = [item for value in values for item in value]
        return _array(flat).reshape(len(values), -1) if values[0] else np.empty((len(values), 0))
    kinds = {type(value) for value in values}
    if kinds and kinds <= {int, float, bool}:
        return np.array(values)
    if kinds and kinds <= {int, float, type(None)}:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    texts: list[Any] = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return signatures.packed("string", texts)
