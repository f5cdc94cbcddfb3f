"""A request becomes columns, or an error that names the column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import did_you_mean
from orchestrator.model import signature
from orchestrator.model.signature import Column, InputError, Signature

ALL = Signature(
    inputs=(
        Column("mass", "number"),
        Column("year", "integer", nullable=True),
        Column("island", "string", nullable=True),
        Column("tagged", "boolean"),
        Column("seen", "timestamp", nullable=True),
    ),
    ignored=("id", "species"),
)
RECORD = {"mass": 1, "year": 2007, "island": "Dream", "tagged": True, "seen": "2013-01-01T05:00:00-05:00"}


def test_records() -> None:
    columns = signature.columns_from_records(ALL, [RECORD, {"mass": 2.5, "tagged": False, "island": None, "id": 7}])
    np.testing.assert_array_equal(columns["mass"], [1.0, 2.5])
    np.testing.assert_array_equal(columns["year"], [2007, np.nan])
    assert columns["island"].tolist() == ["Dream", None]
    np.testing.assert_array_equal(columns["tagged"], [1.0, 0.0])
    assert columns["seen"][0] == np.datetime64("2013-01-01T10:00")
    assert np.isnat(columns["seen"][1])
    assert [columns[name].dtype.kind for name in columns] == ["f", "f", "O", "f", "M"]


def test_rows_are_records_without_names() -> None:
    by_row = signature.columns_from_rows(ALL, [list(RECORD.values())])
    by_name = signature.columns_from_records(ALL, [RECORD])
    assert {name: values.tolist() for name, values in by_row.items()} == {
        name: values.tolist() for name, values in by_name.items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass": None}, "column 'mass' has no value in record 0, and the model needs one"),
        ({"mass": "heavy"}, "column 'mass' takes a number, record 0 has 'heavy'"),
        ({"mass": True}, "column 'mass' takes a number, record 0 has True"),
        ({"mass": float("inf")}, "column 'mass' takes a number, record 0 has inf"),
        ({"mass": 10**400}, "column 'mass' takes a number, record 0 has 1000"),
        ({"mass": [1]}, r"column 'mass' takes a number, record 0 has \[1\]"),
        ({"year": 2007.5}, "column 'year' takes an integer, record 0 has 2007.5"),
        ({"island": 3}, "column 'island' takes a string, record 0 has 3"),
        ({"tagged": 1}, "column 'tagged' takes a boolean, record 0 has 1"),
        ({"seen": "yesterday"}, r"column 'seen' takes a timestamp \(ISO 8601\), record 0 has 'yesterday'"),
        ({"iland": "Dream"}, "record 0 has a column 'iland' that the model does not take .did you mean 'island'"),
    ],
)
def test_an_error_names_the_column(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        signature.columns_from_records(ALL, [{**RECORD, **change}])


def test_only_what_is_told_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def counted(name: str, known: Iterable[str]) -> str:
        looked.append(name)
        return did_you_mean(name, known)

    monkeypatch.setattr(signature, "did_you_mean", counted)
    names = [f"column {number}" for number in range(10_000)]
    with pytest.raises(InputError, match=r"'column 4' .*; and 9995 more"):
        signature.columns_from_records(ALL, [{**RECORD, **dict.fromkeys(names, 1)}] * 3)
    assert looked == names[:5]
    looked.clear()
    with pytest.raises(InputError, match=r"there is no input 'column 0'.*; and 9995 more"):
        signature.columns_from_tensors(ALL, dict.fromkeys(names, np.zeros(1)))
    assert looked == names[:5]


def test_all_columns_that_are_wrong_are_named() -> None:
    with pytest.raises(InputError, match=r"'mass'.*; .*'tagged'"):
        signature.columns_from_records(ALL, [{"year": 1}])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2]], "row 0 has 2 values, the model takes 5"),
        (["text"], "row 0 is 'text', not a list"),
        ([3], "not a list"),
    ],
)
def test_rows_that_are_none(rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        signature.columns_from_rows(ALL, rows)


TWO = Signature((Column("a", "number"), Column("b", "integer", nullable=True)))


def test_tensors() -> None:
    named = signature.columns_from_tensors(TWO, {"a": np.array([1.5, 2.5]), "b": np.array([[1], [2]])})
    whole = signature.columns_from_tensors(TWO, {"input": np.array([[1.5, 1], [2.5, 2]])})
    for name in ("a", "b"):
        np.testing.assert_array_equal(named[name], whole[name])
    left_out = signature.columns_from_tensors(TWO, {"a": np.array([1.5, 2.5], dtype=np.float32)})
    assert np.isnan(left_out["b"]).all()


def test_tensors_of_text() -> None:
    only = Signature((Column("w", "string"),))
    for values in (np.array(["a", "b"]), np.array([b"a", b"b"], dtype=object), np.array([b"a", b"b"])):
        assert signature.columns_from_tensors(only, {"w": values})["w"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": np.array(["x"])}, "column 'a' takes a number, record 0 has 'x'"),
        ({"a": np.array([True])}, "column 'a' takes a number, not bool"),
        ({"a": np.array([1.0, np.inf])}, "column 'a' has an infinite number in record 1"),
        ({"a": np.array([np.nan])}, "column 'a' has no value in record 0"),
        ({"a": np.array([1.0]), "b": np.array([1.5])}, "column 'b' takes an integer, record 0 has 1.5"),
        ({"a": np.array([1.0]), "b": np.array([1, 2])}, "the columns differ in length: 1, 2"),
        ({"a": np.ones((2, 2)), "b": np.ones(2)}, r"column 'a' has shape \[2, 2\]"),
        ({"x": np.ones((2, 3))}, "there is no input 'x'"),
    ],
)
def test_tensors_that_do_not_fit(tensors: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        signature.columns_from_tensors(TWO, tensors)


def test_no_row_is_no_error() -> None:
    assert all(len(values) == 0 for values in signature.columns_from_records(ALL, []).values())
