"""What each column of a table holds, in numbers: the Statistics artifact.

Missing values and infinities take no part in mean, median, standard deviation (of the population) and histogram.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BINS = 20
TOP = 10

_EXACT = 2.0**50  # Up to here a float still has room for the halves between two integers.

_EMPTY: Mapping[str, Any] = dict.fromkeys(
    ("mean", "median", "min", "max", "std", "zeros", "distinct", "top", "histogram")
)


def statistics(table: pa.Table) -> dict[str, Any]:
    """Statistics of every column, in the table's order."""
    columns = [_column(name, table[name]) for name in table.column_names]
    return {"version": 1, "rows": table.num_rows, "columns": columns}


def kind(type_: Any) -> str:
    """The schema's word for a column type of Arrow."""
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "number"
    if pa.types.is_boolean(type_):
        return "boolean"
    return "timestamp" if pa.types.is_timestamp(type_) else "string"


def _column(name: str, column: Any) -> dict[str, Any]:
    present = column.drop_null()
    found = kind(column.type)
    summary = {"name": name, "type": found, "count": len(present), "missing": column.null_count, **_EMPTY}
    if not len(present):
        return {**summary, "distinct": 0, "top": []}
    summary |= {"distinct": pc.count_distinct(present).as_py(), "top": _top(present)}
    match found:
        case "integer" | "number":
            summary |= _numeric(present)
        case "boolean":
            summary |= {"mean": pc.mean(present).as_py(), "zeros": len(present) - pc.sum(present).as_py()}
        case "timestamp":
            summary |= _moments(present)
        case _:
            summary |= {key: _short(value) for key, value in pc.min_max(present).as_py().items()}
    return summary


def _numeric(present: Any) -> dict[str, Any]:
    values = present.to_numpy()
    finite = values[np.isfinite(values)]
    if not len(finite):
        return {"zeros": 0}
    wide = finite.astype(np.float64)
    counts, edges = _histogram(wide, whole=pa.types.is_integer(present.type))
    # The sum and the squares of finite numbers may be too large for a float: then there is no mean to tell.
    with np.errstate(over="ignore", invalid="ignore"):
        moments = {"mean": wide.mean(), "median": np.median(wide), "std": wide.std()}
    return {
        **{name: float(value) if np.isfinite(value) else None for name, value in moments.items()},
        "min": finite.min().item(),
        "max": finite.max().item(),
        "zeros": int((finite == 0).sum()),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _moments(present: Any) -> dict[str, Any]:
    instants = present.cast(pa.timestamp("us", tz=present.type.tz), safe=False).cast(pa.int64()).to_numpy()
    counts, edges = _histogram(instants.astype(np.float64))
    return {
        "min": _instant(instants.min(), present.type.tz),
        "max": _instant(instants.max(), present.type.tz),
        "histogram": {"edges": [_instant(edge, present.type.tz) for edge in edges], "counts": counts.tolist()},
    }


def _histogram(
    values: npt.NDArray[np.float64], *, whole: bool = False
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Counts and edges; with `whole`, every bin holds equally many integers, so that none is empty by its place."""
    low, high = float(values.min()), float(values.max())
    one = np.array([len(values)]), np.array([low, high])
    # Bins need a width, and the distance of two floats may be zero or infinite.
    if low == high or not math.isfinite(high - low):
        return one
    try:
        if not whole or max(-low, high) > _EXACT:
            return np.histogram(values, bins=BINS)
        width = math.ceil((high - low + 1) / BINS)
        bins = math.ceil((high - low + 1) / width)
        return np.histogram(values, bins=low - 0.5 + width * np.arange(bins + 1))
    except ValueError:  # The numbers are too close together for this many bins.
        return one


def _top(present: Any) -> list[dict[str, Any]]:
    counts = pc.value_counts(present)
    # Equal counts by value: the artifact's bytes must not depend on the order of the rows.
    pairs = pa.table({"value": counts.field("values"), "count": counts.field("counts")})
    ordered = pairs.take(pc.select_k_unstable(pairs, TOP, [("count", "descending"), ("value", "ascending")]))
    return [{"value": _short(_plain(row["value"])), "count": row["count"]} for row in ordered.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # JSON has no infinity.
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _short(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= 200 else value[:199] + "…"


def _instant(microseconds: Any, zone: str | None) -> str:
    text = str(np.datetime64(int(microseconds), "us").astype("datetime64[s]"))
    return f"{text}Z" if zone else text
