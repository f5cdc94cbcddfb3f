"""The fitted operations of a transform: each takes one column and gives the columns that replace it.

Every operation works value by value, so that a row alone gives what it gives within a batch, and holds nothing but
plain JSON values, so that it can be read, compared and shipped without pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.model import signature
from orchestrator.model.signature import Array, InputError

Value = str | float | bool | None

# How the category "no value" is written in the name of a feature.
MISSING = "<missing>"
OTHER = "<other>"

# datetime64 counts from Thursday, the first of January 1970.
_THURSDAY = 3

PARTS = ("year", "quarter", "month", "day", "dayofyear", "weekday", "hour", "minute", "second")


@dataclass(frozen=True, slots=True)
class Impute:
    """Put `value` where there is none."""

    column: str
    value: str | float

    def apply(self, values: Array) -> dict[str, Array]:
        gone = signature.missing(values)
        if not gone.any():
            return {self.column: values}
        filled = values.copy()
        filled[gone] = self.value
        return {self.column: filled}


@dataclass(frozen=True, slots=True)
class Indicator:
    """Add a column that is 1 where there is no value."""

    column: str

    def apply(self, values: Array) -> dict[str, Array]:
        return {self.column: values, f"{self.column}={MISSING}": signature.missing(values).astype(np.float64)}


@dataclass(frozen=True, slots=True)
class OneHot:
    """One column of zeros and ones per category, named `column=category`.

    `other` adds a column for what is rare in the training data or not in it at all; without it an unknown value is all
    zeros. When `strict` an unknown value is an error, and `rare` lists what is known but has no column of its own.
    With `drops` the last category gets no column.
    """

    column: str
    categories: tuple[Value, ...]
    other: bool = False
    strict: bool = False
    rare: tuple[Value, ...] = ()
    drops: bool = False

    def names(self) -> list[str]:
        kept = [label(category) for category in self._kept()]
        return [f"{self.column}={name}" for name in ([*kept, OTHER] if self.other else kept)]

    def apply(self, values: Array) -> dict[str, Array]:
        positions = _positions(self.column, values, (*self.categories, *self.rare), strict=self.strict)
        size = len(self.categories)
        block = np.zeros((size + 1, len(values)))
        block[np.where((positions < 0) | (positions > size), size, positions), np.arange(len(values))] = 1.0
        rows = [*range(len(self._kept())), *([size] if self.other else [])]
        return {name: block[row] for name, row in zip(self.names(), rows, strict=True)}

    def _kept(self) -> tuple[Value, ...]:
        return self.categories[:-1] if self.drops else self.categories


@dataclass(frozen=True, slots=True)
class Ordinal:
    """The number of the category; an unknown value is -1, the number after the last (`other`), or an error."""

    column: str
    categories: tuple[Value, ...]
    other: bool = False
    strict: bool = False

    def apply(self, values: Array) -> dict[str, Array]:
        positions = _positions(self.column, values, self.categories, strict=self.strict)
        codes = positions.astype(np.float64)
        if self.other:
            codes[positions < 0] = len(self.categories)
        if None not in self.categories:
            codes[signature.missing(values)] = np.nan
        return {self.column: codes}


@dataclass(frozen=True, slots=True)
class Frequency:
    """How frequent the category was in the training data; an unknown value was never seen, so 0 (or an error)."""

    column: str
    categories: tuple[Value, ...]
    shares: tuple[float, ...]
    strict: bool = False

    def apply(self, values: Array) -> dict[str, Array]:
        positions = _positions(self.column, values, self.categories, strict=self.strict)
        return {self.column: np.array([*self.shares, 0.0])[positions]}


@dataclass(frozen=True, slots=True)
class Scale:
    """Shift by `center`, then divide by `scale`."""

    column: str
    center: float
    scale: float

    def apply(self, values: Array) -> dict[str, Array]:
        return {self.column: (values - self.center) / self.scale}


@dataclass(frozen=True, slots=True)
class Clip:
    """Nothing below `low`, nothing above `high`; a bound that is null does not bind."""

    column: str
    low: float | None
    high: float | None

    def apply(self, values: Array) -> dict[str, Array]:
        return {self.column: np.clip(values, self.low, self.high)}


@dataclass(frozen=True, slots=True)
class Drop:
    """The column goes."""

    column: str

    def apply(self, values: Array) -> dict[str, Array]:  # noqa: ARG002  All operations are called alike.
        return {}


@dataclass(frozen=True, slots=True)
class Cast:
    """The same values as another type."""

    column: str
    source: str
    type: str

    def apply(self, values: Array) -> dict[str, Array]:
        return {self.column: _cast(self, values)}


@dataclass(frozen=True, slots=True)
class Datetime:
    """The parts of a timestamp as numbers, named `column.part`; weekday counts from Monday = 0."""

    column: str
    parts: tuple[str, ...]
    keep: bool = False

    def apply(self, values: Array) -> dict[str, Array]:
        gone = np.isnat(values)
        made: dict[str, Array] = {self.column: values} if self.keep else {}
        for part in self.parts:
            numbers = _part(np.where(gone, np.datetime64(0, "us"), values), part).astype(np.float64)
            numbers[gone] = np.nan
            made[f"{self.column}.{part}"] = numbers
        return made


Operation = Impute | Indicator | OneHot | Ordinal | Frequency | Scale | Clip | Drop | Cast | Datetime
OPERATIONS: Mapping[str, type[Any]] = {kind.__name__.lower(): kind for kind in get_args(Operation)}


def keys(values: Array) -> list[Value]:
    """The values as they can be looked up among categories: None where missing."""
    if values.dtype == object:
        return list(values)
    return [None if gone else item for item, gone in zip(values.tolist(), signature.missing(values), strict=True)]


def label(category: Value) -> str:
    """A category as it shows in the name of a feature: 3.0 is written 3."""
    if category is None:
        return MISSING
    return f"{category:g}" if isinstance(category, float) and category.is_integer() else str(category)


def _positions(column: str, values: Array, categories: Sequence[Value], *, strict: bool) -> NDArray[np.int64]:
    """The place of each value among the categories, -1 for one that is not there."""
    places = {category: place for place, category in enumerate(categories)}
    items = keys(values)
    positions = np.fromiter((places.get(item, -1) for item in items), dtype=np.int64, count=len(items))
    if strict and (positions < 0).any():
        unknown = items[int(np.argmax(positions < 0))]
        known = ", ".join(label(category) for category in categories[:12])
        what = "no value" if unknown is None else f"{unknown!r}"
        raise InputError(
            f"column {column!r} has {what}, which the training data did not have",
            hint=f"known: {known}{', ...' if len(categories) > 12 else ''}; `unknown: ignore` accepts any",
        )
    return positions


def _part(moments: Array, part: str) -> NDArray[np.int64]:
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    years = moments.astype("datetime64[Y]")
    seconds: NDArray[np.int64] = (moments.astype("datetime64[s]") - days).astype(np.int64)
    since: NDArray[np.int64]
    match part:
        case "year":
            since = years.astype(np.int64) + 1970
        case "quarter":
            since = (months - years.astype("datetime64[M]")).astype(np.int64) // 3 + 1
        case "month":
            since = (months - years.astype("datetime64[M]")).astype(np.int64) + 1
        case "day":
            since = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
        case "dayofyear":
            since = (days - years.astype("datetime64[D]")).astype(np.int64) + 1
        case "weekday":
            since = (days.astype(np.int64) + _THURSDAY) % 7
        case "hour":
            since = seconds // 3600
        case "minute":
            since = seconds // 60 % 60
        case _:
            since = seconds % 60
    return since


def _cast(cast: Cast, values: Array) -> Array:
    """Missing stays missing; a value that has no counterpart is an error that names it."""
    if cast.source == cast.type:
        return values
    if cast.type in ("number", "integer", "boolean") and values.dtype.kind == "f":
        return values if cast.type == "number" else _whole(cast.type, values)
    if cast.type == "number" and values.dtype.kind == "M":
        numbers = values.astype(np.int64) / 1e6
        numbers[np.isnat(values)] = np.nan
        return numbers
    converted: list[Any] = []
    for item, gone in zip(values if values.dtype.kind == "M" else keys(values), signature.missing(values), strict=True):
        try:
            converted.append(None if gone else _one(item, cast))
        except (ValueError, TypeError, OverflowError):
            raise InputError(f"column {cast.column!r}: {item!r} cannot be cast to {cast.type}") from None
    return signature.packed(cast.type, converted)


def _whole(kind: str, numbers: Array) -> Array:
    if kind == "integer":
        return np.trunc(numbers)
    return np.where(np.isnan(numbers), np.nan, (numbers != 0).astype(np.float64))


def _one(item: Any, cast: Cast) -> Any:
    if cast.type == "string":
        if cast.source == "boolean":
            return "true" if item else "false"
        return str(item) if cast.source == "timestamp" else label(item)
    if cast.type == "timestamp":
        return np.datetime64(round(item * 1e6), "us") if isinstance(item, float) else signature.timestamp(item)
    if cast.type == "boolean":
        return _BOOLEANS[_known(str(item).strip().lower())]
    number = float(item)
    if not np.isfinite(number):
        raise ValueError
    return float(np.trunc(number)) if cast.type == "integer" else number


_BOOLEANS = {"true": 1.0, "yes": 1.0, "1": 1.0, "false": 0.0, "no": 0.0, "0": 0.0}


def _known(word: str) -> str:
    if word not in _BOOLEANS:
        raise ValueError
    return word
