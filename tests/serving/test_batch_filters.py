"""The filters of a batch: the part of JSONPath they are written in, over records and over columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OrchestratorError
from orchestrator.serving.batch import jsonpath, plan
from orchestrator.serving.batch.jsonpath import AbsentError

RECORD = {"id": 7, "features": [1, 2, 3], "deep": {"a b": [{"x": 1}, {"x": 2}]}, "it's": True}


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("$", RECORD),
        ("$.id", 7),
        ("$['id']", 7),
        ('$["it\'s"]', True),
        (r"$['it\'s']", True),
        ("$.features[0]", 1),
        ("$.features[-1]", 3),
        ("$.features[0,-1]", [1, 3]),
        ("$.features[1:]", [2, 3]),
        ("$.features[:-1]", [1, 2]),
        ("$.features[*]", [1, 2, 3]),
        ("$['id','features']", {"id": 7, "features": [1, 2, 3]}),
        ("$['id','nothing']", {"id": 7}),
        ("$.deep['a b'][*].x", [1, 2]),
        ("$.deep.*", [[{"x": 1}, {"x": 2}]]),
        ("$.deep['a b'][0:1].x", [1]),
    ],
)
def test_a_path_chooses(path: str, chosen: Any) -> None:
    assert jsonpath.parse(path).of(RECORD) == chosen


@pytest.mark.parametrize("path", ["$.nothing", "$.features[3]", "$.features[0,3]", "$.id[0]", "$.features.x", "$[0]"])
def test_nothing_at_a_path_is_not_a_value(path: str) -> None:
    with pytest.raises(AbsentError):
        jsonpath.parse(path).of(RECORD)


@pytest.mark.parametrize(
    "path", ["", "id", "$..id", "$.features[?(@>1)]", "$.features[", "$['a]", "$[1:2:3]", "$.", "$x"]
)
def test_what_is_no_path_is_refused_with_an_example(path: str) -> None:
    with pytest.raises(OrchestratorError) as refused:
        jsonpath.parse(path)
    assert "$['id','prediction']" in refused.value.hint


@given(st.text())
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        jsonpath.parse("$" + text)
    except OrchestratorError:
        return


def test_a_path_chooses_columns_of_a_table() -> None:
    names = ["id", "a", "b", "prediction.y"]

    def chosen(path: str) -> list[str]:
        return jsonpath.parse(path).columns(names, "the table")

    assert chosen("$") == chosen("$.*") == names
    assert chosen("$[0,-1]") == ["id", "prediction.y"]
    assert chosen("$[1:]") == ["a", "b", "prediction.y"]
    assert chosen("$['b','id']") == ["b", "id"]
    with pytest.raises(OrchestratorError, match="names column 4: the table has 4 columns"):
        chosen("$[4]")
    with pytest.raises(OrchestratorError, match="goes deeper"):
        chosen("$.a[0]")
    with pytest.raises(OrchestratorError) as refused:
        chosen("$.idd")
    assert refused.value.hint == "did you mean 'id'?"


def test_a_threshold_is_a_number_of_records_or_a_share() -> None:
    assert not plan.threshold("0").is_over(0, 10)
    assert plan.threshold("0").is_over(1, 10)
    assert not plan.threshold("10").is_over(10, 10)
    assert not plan.threshold("0.5 %").is_over(1, 200)
    assert plan.threshold("0.5%").is_over(2, 200)
    assert str(plan.threshold("0.50%")) == "0.5%"
    for text in ("", "-1", "some", "1.5", "101%", "1%%"):
        with pytest.raises(OrchestratorError, match="error threshold"):
            plan.threshold(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "record"},
        {"join": "inputs"},
        {"input_format": "xml"},
        {"split": "none", "join": "input"},
        {"size": 0},
        {"retries": -1},
        {"seconds": 0.0},
        {"workers": 0},
        {"delimiter": ",,"},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OrchestratorError):
        plan.Plan(**wrong)
