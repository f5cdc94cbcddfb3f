"""Statistics against pandas' own, and what an odd column does to them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.validate_schema.statistics import statistics


def column(values: Any) -> dict[str, Any]:
    found = statistics(pa.table({"c": values}))
    json.dumps(found, allow_nan=False)
    made: dict[str, Any] = found["columns"][0]
    return made


@given(st.lists(st.none() | st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9), min_size=1))
def test_numbers_agree_with_pandas(values: list[float | None]) -> None:
    series = pd.Series(values, dtype=float)
    found = column(pa.array([None if value is None else float(value) for value in values], pa.float64()))
    assert (found["count"], found["missing"]) == (series.count(), series.isna().sum())
    assert found["distinct"] == series.nunique()
    if not found["count"]:
        return
    for name, expected in {
        "mean": series.mean(),
        "median": series.median(),
        "min": series.min(),
        "max": series.max(),
        "std": series.std(ddof=0),
    }.items():
        assert math.isclose(found[name], expected, rel_tol=1e-6, abs_tol=1e-3), name
    assert found["zeros"] == (series == 0).sum()
    assert sum(found["histogram"]["counts"]) == found["count"]
    assert len(found["histogram"]["edges"]) == len(found["histogram"]["counts"]) + 1


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_no_float_breaks_them(values: list[float]) -> None:
    found = column(pa.array(values, pa.float64()))
    assert found["count"] == len(values)


@given(st.lists(st.none() | st.sampled_from(["a", "b", "c", "<b>"])), st.randoms())
def test_the_order_of_the_rows_does_not_matter(values: list[str | None], random: Any) -> None:
    shuffled = random.sample(values, k=len(values))
    assert column(pa.array(values, pa.string())) == column(pa.array(shuffled, pa.string()))


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-40, 40), min_size=1))
def test_integers_fall_into_bins_of_equal_width(values: list[int]) -> None:
    histogram = column(pa.array(values, pa.int64()))["histogram"]
    assert sum(histogram["counts"]) == len(values)
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1 <= 21


def test_every_integer_of_a_small_range_has_its_bin() -> None:
    histogram = column(list(range(1, 13)))["histogram"]
    assert histogram == {"edges": [number + 0.5 for number in range(13)], "counts": [1] * 12}


def test_text_booleans_and_timestamps() -> None:
    text = column(["b", "a", None, "b"])
    assert text | {"type": "string", "count": 3, "missing": 1, "min": "a", "max": "b", "distinct": 2} == text
    assert text["top"] == [{"value": "b", "count": 2}, {"value": "a", "count": 1}]
    assert text["mean"] is text["histogram"] is None
    flag = column([True, None, False, True])
    assert (flag["type"], flag["mean"], flag["zeros"]) == ("boolean", pytest.approx(2 / 3), 1)
    when = column([datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 12, 31, 23, 59, 59, tzinfo=UTC)])
    assert (when["type"], when["min"], when["max"]) == ("timestamp", "2013-01-01T00:00:00Z", "2013-12-31T23:59:59Z")
    assert sum(when["histogram"]["counts"]) == 2


def test_empty_constant_and_infinite_columns() -> None:
    assert column(pa.nulls(3, pa.float64())) | {"count": 0, "missing": 3, "mean": None} == column(
        pa.nulls(3, pa.float64())
    )
    assert column([5, 5])["histogram"] == {"edges": [5.0, 5.0], "counts": [2]}
    mixed = column([1.0, float("inf"), 3.0])
    assert (mixed["mean"], mixed["max"], mixed["count"]) == (2.0, 3.0, 3)
    assert column([float("-inf")])["mean"] is None
    assert statistics(pa.table({"a": pa.array([], pa.int64())}))["rows"] == 0
