"""What a model takes and gives: named, typed columns, and the checks that turn a request into them.

In memory a column is one numpy array: `float64` for numbers, integers and booleans (NaN where missing), `object` for
strings (None where missing), `datetime64[us]` in UTC for timestamps (NaT where missing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import OrchestratorError, did_you_mean

Type = Literal["number", "integer", "string", "boolean", "timestamp"]
TYPES: tuple[str, ...] = get_args(Type)
NUMERIC = ("number", "integer", "boolean")

Array = NDArray[Any]
Columns = Mapping[str, Array]

# What stands for a missing value in a CSV file, as the component `ingest` reads it.
MISSING_WORDS = frozenset({"", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL"})

# An answer that lists a thousand bad cells helps nobody.
MAX_PROBLEMS = 5


class InputError(OrchestratorError):
    """Data that a model cannot take; the message names the column, and the server answers it with 400."""


@dataclass(frozen=True, slots=True)
class Column:
    """One input or output of a model."""

    name: str
    type: Type
    nullable: bool = False
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The columns a model takes and gives; `ignored` columns may be sent with them (the rest of a row) unread."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...] = ()
    ignored: tuple[str, ...] = ()


def columns_from_records(signature: Signature, records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """Rows as mappings from column to value, as JSON gives them; a nullable column may be left out."""
    known = {column.name for column in signature.inputs}
    passed = known.union(signature.ignored)
    problems: list[str] = []
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise InputError(f"record {row} is {_said(record)}, not an object with one value per column")
        for name in () if record.keys() <= passed else record:
            if name not in passed:
                said = f"record {row} has a column {name!r} that the model does not take"
                problems.append(said + _hint(name, known, problems))
        if not record.keys() & known:
            # Every column may be nullable; that nothing is known of a row is still more likely a mistake.
            problems.append(f"record {row} has none of the columns the model takes: {', '.join(sorted(known))}")
        if len(problems) >= MAX_PROBLEMS:
            break
    _refuse(problems)
    values = {column.name: [record.get(column.name) for record in records] for column in signature.inputs}
    return _columns(signature, values)


def columns_from_rows(signature: Signature, rows: Sequence[Sequence[Any]]) -> dict[str, Array]:
    """Rows as lists, one value per input in the order of the signature."""
    width = len(signature.inputs)
    for row, values in enumerate(rows):
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Sequence):
            raise InputError(f"row {row} is {_said(values)}, not a list of {width} values")
        if len(values) != width:
            names = ", ".join(column.name for column in signature.inputs)
            raise InputError(f"row {row} has {len(values)} values, the model takes {width}: {names}")
    return _columns(
        signature, {column.name: [row[index] for row in rows] for index, column in enumerate(signature.inputs)}
    )


def columns_from_tensors(signature: Signature, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """One tensor per column, `[n]` or `[n, 1]`; or a single tensor `[n, columns]` in the order of the signature."""
    names = [column.name for column in signature.inputs]
    if len(tensors) == 1:
        ((name, tensor),) = tensors.items()
        if name not in names and tensor.ndim == 2 and tensor.shape[1] == len(names):
            if _is_plain(signature, tensor):
                return dict(zip(names, np.array(tensor.T, dtype=np.float64, order="C"), strict=True))
            tensors = {column: tensor[:, index] for index, column in enumerate(names)}
    problems: list[str] = []
    known = set(names)
    for name in tensors:
        if name not in known and name not in signature.ignored:
            problems.append(f"there is no input {name!r}" + _hint(name, names, problems))
    flat: dict[str, Array] = {}
    for name, tensor in tensors.items():
        if name not in known:
            continue
        flat[name] = tensor[:, 0] if tensor.ndim == 2 and tensor.shape[1] == 1 else tensor
        if flat[name].ndim != 1:
            problems.append(f"column {name!r} has shape {list(tensor.shape)}, not [n] or [n, 1]")
    lengths = {len(tensor) for tensor in flat.values() if tensor.ndim == 1}
    if len(lengths) > 1:
        problems.append(f"the columns differ in length: {', '.join(map(str, sorted(lengths)))}")
    _refuse(problems)
    rows = lengths.pop() if lengths else 0
    return _columns(signature, {name: flat[name] if name in flat else [None] * rows for name in names})


def empty(column: Column, rows: int) -> Array:
    """A column of which every value is missing."""
    if column.type == "string":
        return np.full(rows, None, dtype=object)
    if column.type == "timestamp":
        return np.full(rows, "NaT", dtype="datetime64[us]")
    return np.full(rows, np.nan)


def missing(values: Array) -> NDArray[np.bool_]:
    """Where a column has no value."""
    if values.dtype == object:
        return np.fromiter((value is None for value in values), dtype=bool, count=len(values))
    return np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)


def timestamp(text: str) -> np.datetime64:
    """An ISO 8601 text as an instant in UTC; a text without a zone is taken as UTC."""
    moment = datetime.fromisoformat(text.strip())
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment, "us")


def _is_plain(signature: Signature, tensor: Array) -> bool:
    """Whether a tensor is numbers where the model takes numbers, all of them there and finite: nothing to look for."""
    if tensor.dtype.kind not in "iuf" or any(column.type != "number" for column in signature.inputs):
        return False
    return math.isfinite(tensor.sum(dtype=np.float64))


def _columns(signature: Signature, values: Mapping[str, Sequence[Any] | Array]) -> dict[str, Array]:
    problems: list[str] = []
    columns: dict[str, Array] = {}
    for column in signature.inputs:
        try:
            array = convert(column, values[column.name])
        except InputError as error:
            problems.append(error.message)
            continue
        columns[column.name] = array
        if not column.nullable and (gone := missing(array)).any():
            row = int(np.argmax(gone))
            problems.append(f"column {column.name!r} has no value in record {row}, and the model needs one")
    _refuse(problems)
    return columns


def convert(column: Column, values: Sequence[Any] | Array) -> Array:
    """Values of a request as the array of one column; an InputError names the column and the first bad record."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM":
        return _native(column, values)
    items = values.tolist() if isinstance(values, np.ndarray) else values
    read = _READERS[column.type]
    converted: list[Any] = []
    for row, value in enumerate(items):
        try:
            converted.append(None if value is None else read(value))
        except (TypeError, ValueError, OverflowError):
            said = f"column {column.name!r} takes {_a(column.type)}, record {row} has {_said(value)}"
            raise InputError(said) from None
    return packed(column.type, converted)


def packed(kind: str, values: Iterable[Any]) -> Array:
    """Python values of one type (None where missing) as the array of a column."""
    items = list(values)
    if kind == "string":
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array
    if kind == "timestamp":
        gone = np.datetime64("NaT", "us")
        return np.array([gone if item is None else item for item in items], dtype="datetime64[us]")
    return np.array([np.nan if item is None else item for item in items], dtype=np.float64)


def _native(column: Column, values: Array) -> Array:
    """Tensors of numbers, taken over whole: their type is known, so no value needs to be looked at alone."""
    kind = values.dtype.kind
    fits = {"number": "iuf", "integer": "iuf", "boolean": "b", "string": "", "timestamp": "M"}[column.type]
    if kind not in fits:
        raise InputError(f"column {column.name!r} takes {_a(column.type)}, not {values.dtype.name}")
    if kind == "M":
        return values.astype("datetime64[us]")
    array = values.astype(np.float64)
    if (infinite := np.isinf(array)).any():
        raise InputError(f"column {column.name!r} has an infinite number in record {int(np.argmax(infinite))}")
    if column.type == "integer" and kind == "f":
        fraction = ~np.isnan(array) & (array != np.trunc(array))
        if fraction.any():
            row = int(np.argmax(fraction))
            raise InputError(f"column {column.name!r} takes an integer, record {row} has {array[row]}")
    return array


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError
    number = float(value)
    if math.isinf(number):
        raise ValueError
    return number


def _integer(value: Any) -> float:
    number = _number(value)
    if not math.isnan(number) and not number.is_integer():
        raise ValueError
    return number


def _string(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError
    return value


def _boolean(value: Any) -> float:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return float(value)


def _timestamp(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]")
    if isinstance(value, datetime | date):
        return timestamp(value.isoformat())
    return timestamp(_string(value))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "number": _number,
    "integer": _integer,
    "string": _string,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        raise InputError("; ".join(problems[:MAX_PROBLEMS]) + more)


def _a(kind: str) -> str:
    return {"integer": "an integer", "timestamp": "a timestamp (ISO 8601)"}.get(kind, f"a {kind}")


def _said(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _hint(name: object, known: Iterable[str], problems: Sequence[str]) -> str:
    """What may have been meant, for what is told: a search for each of thousands of names would take seconds."""
    hint = did_you_mean(str(name), known) if len(problems) < MAX_PROBLEMS else ""
    return f" ({hint})" if hint else ""
