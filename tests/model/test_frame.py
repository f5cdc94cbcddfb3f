"""A table as columns: types found in the values, and tables that differ from the training data."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.model import frame, signature
from orchestrator.model.signature import Column, InputError


@pytest.mark.parametrize(
    ("values", "kind", "nullable"),
    [
        (pd.Series([1, 2]), "integer", False),
        (pd.Series([1.0, None]), "number", True),
        (pd.Series([1, None], dtype="Int64"), "integer", True),
        (pd.Series([1.5, None], dtype="Float64"), "number", True),
        (pd.Series([True, False]), "boolean", False),
        (pd.Series([True, None], dtype="boolean"), "boolean", True),
        (pd.Series([True, None]), "boolean", True),
        (pd.Series(["a", None]), "string", True),
        (pd.Series(["a", None], dtype="string"), "string", True),
        (pd.Series(["a", "b"], dtype="category"), "string", False),
        (pd.Series([1, 2], dtype="category"), "integer", False),
        (pd.Series([None, None]), "string", True),
        (pd.Series([Decimal("1.5"), None]), "number", True),
        (pd.Series([date(2013, 1, 1), None]), "timestamp", True),
        (pd.Series(pd.to_datetime(["2013-01-01", None])), "timestamp", True),
        (pd.Series(pd.to_datetime(["2013-01-01T05:00:00+02:00"])), "timestamp", False),
        (pd.Series(pd.to_timedelta(["90s"])), "number", False),
    ],
)
def test_types(values: pd.Series[Any], kind: str, nullable: bool) -> None:
    (column,), arrays = frame.columns(pd.DataFrame({"c": values}))
    assert (column.type, column.nullable) == (kind, nullable)
    np.testing.assert_array_equal(signature.missing(arrays["c"]), values.isna())


def test_times_are_in_utc() -> None:
    _, arrays = frame.columns(pd.DataFrame({"c": pd.to_datetime(["2013-01-01T05:00:00+02:00"])}))
    assert arrays["c"][0] == np.datetime64("2013-01-01T03:00")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 1], "column 'c' mixes integer and string"),
        ([[1], [2]], "holds lists or objects"),
        ([b"x"], "holds lists"),
    ],
)
def test_values_no_model_takes(values: list[Any], message: str) -> None:
    with pytest.raises((InputError, TypeError), match=message):
        frame.columns(pd.DataFrame({"c": values}))


def test_take_says_everything_that_is_missing() -> None:
    table = pd.DataFrame({"mas": [1.0], "year": [1.5], "island": [None]})
    inputs = [Column("mass", "number"), Column("year", "integer"), Column("island", "string")]
    with pytest.raises(InputError) as raised:
        frame.take(table, inputs)
    assert raised.value.message == (
        "the data has no column 'mass' (did you mean 'mas'?); column 'year' takes integers, the data has fractions; "
        "column 'island' has 1 missing values, and the model was trained without any"
    )


def test_take_reads_the_types_of_the_model() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [1.0, None], "c": [None, None]})
    inputs = [Column("a", "number"), Column("b", "integer", nullable=True), Column("c", "boolean", nullable=True)]
    arrays = frame.take(table, inputs)
    assert [values.dtype.kind for values in arrays.values()] == ["f", "f", "f"]


def test_records_are_requests() -> None:
    table = pd.DataFrame({"i": [1, 2], "s": ["a", None], "b": [True, False], "t": pd.to_datetime(["2013-01-01", None])})
    inputs, _ = frame.columns(table)
    records = frame.records(table, inputs, 3)
    assert records == [
        {"i": 1, "s": "a", "b": True, "t": "2013-01-01T00:00:00.000000"},
        {"i": 2, "s": None, "b": False, "t": None},
    ]
    again = signature.columns_from_records(signature.Signature(inputs), records)
    for name, values in frame.take(table, inputs).items():
        np.testing.assert_array_equal(again[name], values)
