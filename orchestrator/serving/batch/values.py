"""Cells of a table as values of a model's columns, and a model's outputs as values of a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model.signature import MISSING_WORDS, Array, InputError

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_KINDS = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "M": "timestamp"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a table of predictions: the output it is of, and the place in it where that is a list."""

    name: str
    output: str
    type: str
    place: int | None = None


def read(cell: str, kind: str, name: str) -> Any:
    """The value of a CSV cell, for a column of this type; `any` takes what looks like a number as one.

    Raises InputError.
    """
    if cell in MISSING_WORDS:
        return None
    if kind == "any":
        number = _number(cell)
        return cell if number is None else number
    if kind in ("number", "integer"):
        number = _number(cell)
        if number is None or (kind == "integer" and not float(number).is_integer()):
            wanted = "an integer" if kind == "integer" else "a number"
            raise InputError(f"column {name!r} takes {wanted}, not {cell[:60]!r}")
        return int(number) if kind == "integer" else number
    if kind == "boolean":
        found = _BOOLEANS.get(cell.strip().lower())
        if found is None:
            raise InputError(f"column {name!r} takes true or false, not {cell[:60]!r}")
        return found
    return cell


def _number(cell: str) -> float | int | None:
    """The finite number a cell is; a whole one stays whole, and what only Python takes for a number is none."""
    if cell.isdigit() and cell.isascii() and len(cell) < 16:
        return int(cell)
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def taken(value: Any) -> Any:
    """A value of an Arrow table as a model takes it; a number that is infinite stays one, to be refused."""
    return value if isinstance(value, float) else plain(value)


def plain(value: Any) -> Any:
    """A value of an Arrow table as JSON holds it."""
    match value:
        case Decimal():
            return float(value)
        case date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "replace")
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  Quicker than math.
            return None
        case list():
            return [plain(each) for each in value]
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case _:
            return value


def lists(values: Array) -> list[Any]:
    """An output as JSON values, one for each row."""
    if values.dtype.kind == "M":
        return [None if text == "NaT" else text for text in values.astype(str).tolist()]
    if values.dtype.kind == "O" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        return [plain(each) for each in values.tolist()]
    return list(values.tolist())


def cells(outputs: Mapping[str, Array], classes: Sequence[Any] | None) -> tuple[Cell, ...]:
    """The columns that outputs fill. Raises OrchestratorError for what does not fit into columns."""
    found: list[Cell] = []
    for name, values in outputs.items():
        kind = _KINDS.get(values.dtype.kind, "string")
        if values.ndim == 1:
            found.append(Cell(name, name, kind))
        elif values.ndim == 2:
            found += [
                Cell(f"{name}.{label}", name, kind, place)
                for place, label in enumerate(_labels(values.shape[1], classes))
            ]
        else:
            hint = "write JSON Lines: name the output .jsonl"
            raise OrchestratorError(f"the output {name!r} holds lists of lists, which no table does", hint=hint)
    return tuple(found)


def records(outputs: Mapping[str, Array], classes: Sequence[Any] | None, count: int) -> list[dict[str, Any]]:
    """What was predicted for each of `count` rows, by output; a list with one value per class becomes an object."""
    named: dict[str, list[Any]] = {}
    for name, values in outputs.items():
        each = lists(values)
        if values.ndim == 2 and classes is not None and len(classes) == values.shape[1]:
            labels = _labels(values.shape[1], classes)
            each = [dict(zip(labels, one, strict=True)) for one in each]
        named[name] = each
    return [{name: each[row] for name, each in named.items()} for row in range(count)]


def _labels(count: int, classes: Sequence[Any] | None) -> list[str]:
    if classes is None or len(classes) != count:
        return [str(place) for place in range(count)]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in classes]
