"""A table (a pandas DataFrame) as the columns a model takes, by its shape alone: pandas is not imported here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from orchestrator.errors import did_you_mean
from orchestrator.model import signature
from orchestrator.model.signature import Array, Column, InputError

# Up to this many distinct texts are written into the signature, so that a form or a check can offer them.
MAX_CATEGORIES = 50

_KINDS = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "M": "timestamp"}
# In this order: a bool is an int to Python.
_PYTHON: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("boolean", (bool, np.bool_)),
    ("integer", (int, np.integer)),
    ("number", (float, np.floating, Decimal)),
    ("string", (str,)),
    ("timestamp", (date, np.datetime64)),
)


def columns(frame: Any) -> tuple[tuple[Column, ...], dict[str, Array]]:
    """Every column of the table: its type as found in the values, and the values."""
    described: list[Column] = []
    arrays: dict[str, Array] = {}
    for name in frame.columns:
        kind = type_of(frame[name])
        values = _array(str(name), frame[name], kind)
        gone = signature.missing(values)
        arrays[str(name)] = values
        described.append(Column(str(name), kind, bool(gone.any()), _categories(kind, values[~gone])))  # type: ignore[arg-type]
    return tuple(described), arrays


def take(frame: Any, inputs: Sequence[Column], *, what: str = "the data") -> dict[str, Array]:
    """The columns a model needs, in the types it was trained with; every column that is missing or unfit at once."""
    problems: list[str] = []
    arrays: dict[str, Array] = {}
    for column in inputs:
        if column.name not in frame.columns:
            hint = did_you_mean(column.name, [str(name) for name in frame.columns])
            problems.append(f"{what} has no column {column.name!r}" + (f" ({hint})" if hint else ""))
            continue
        try:
            arrays[column.name] = _array(column.name, frame[column.name], column.type)
        except InputError as error:
            problems.append(error.message)
            continue
        if not column.nullable and (gone := signature.missing(arrays[column.name])).any():
            count = int(gone.sum())
            problems.append(f"column {column.name!r} has {count} missing values, and the model was trained without any")
    if problems:
        raise InputError("; ".join(problems), hint="add an impute step to the transform" if arrays else "")
    return arrays


def records(frame: Any, inputs: Sequence[Column], rows: int) -> list[dict[str, Any]]:
    """The first rows as JSON records, in the form a request to the model has."""
    head = frame.head(rows)
    arrays = {column.name: _array(column.name, head[column.name], column.type) for column in inputs}
    return [
        {column.name: _json(column.type, arrays[column.name][row]) for column in inputs} for row in range(len(head))
    ]


def type_of(series: Any) -> str:
    """The type of a column of a table, from its dtype, or from its values where the dtype says nothing."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in _KINDS:
        return _KINDS[kind]
    if kind == "m":
        return "number"
    found = {_type(kind) for kind in set(map(type, series.dropna().astype(object)))}
    if "" in found:
        raise InputError(f"column {str(series.name)!r} holds lists or objects, which no model takes")
    if found == {"integer", "number"}:
        return "number"
    if len(found) > 1:
        raise InputError(f"column {str(series.name)!r} mixes {' and '.join(sorted(found))}", hint="mend the data")
    return found.pop() if found else "string"


def _type(kind: type) -> str:
    for name, kinds in _PYTHON:
        if issubclass(kind, kinds):
            return name
    return ""


def _array(name: str, series: Any, kind: str) -> Array:
    """The values of a column as one array of the wanted type."""
    found = getattr(series.dtype, "kind", "O")
    if kind == "timestamp" and found == "M":
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray(series.to_numpy(dtype="datetime64[us]"))
    if kind == "number" and found == "m":
        return np.asarray(series.dt.total_seconds().to_numpy(dtype=np.float64))
    if kind in signature.NUMERIC and found in "fiub" and (found == "b") == (kind == "boolean"):
        array = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
        if kind == "integer" and found == "f" and (array[~np.isnan(array)] % 1 != 0).any():
            raise InputError(f"column {name!r} takes integers, the data has fractions")
        return array
    values = series.astype(object)
    values = values.where(values.notna(), None)
    items = [float(value) if isinstance(value, Decimal) else value for value in values]
    return signature.convert(Column(name, kind, nullable=True), items)  # type: ignore[arg-type]


def _categories(kind: str, present: Array) -> tuple[str, ...] | None:
    if kind != "string":
        return None
    distinct = set(present.tolist())
    return tuple(sorted(distinct)) if len(distinct) <= MAX_CATEGORIES else None


def _json(kind: str, value: Any) -> Any:
    if signature.missing(np.array([value], dtype=object if kind == "string" else None))[0]:
        return None
    if kind == "timestamp":
        return str(value)
    if kind == "integer":
        return int(value)
    return {"boolean": bool, "string": str, "number": float}[kind](value)
