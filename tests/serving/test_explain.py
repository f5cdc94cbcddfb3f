"""Explanations by the server: what they sum to, what they are compared with, and what is too much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving import local

Ask = Callable[..., Any]
PATH = "/v1/models/{}:explain"


def sums(explanation: dict[str, Any]) -> None:
    """Each output's values add up to what separates its prediction from the baseline's."""
    for output, values in explanation["values"].items():
        difference = explanation["prediction"][output] - explanation["expected_value"][output]
        assert sum(values.values()) == pytest.approx(difference, abs=1e-9)


def test_a_regression(served: str, mass: Any, ask: Ask) -> None:
    reply = ask(served, PATH.format("mass"), {"instances": mass.examples, "baseline": mass.examples[:1]})
    assert reply.status == 200
    assert reply.headers["x-variant"] == "v1"
    assert reply.json["predictions"] == pytest.approx(mass.predictions)
    assert reply.json["exact"] is True
    first, *others = reply.json["explanations"]
    assert first["values"] == {"body_mass_g": dict.fromkeys(mass.examples[0], 0.0)}
    assert first["expected_value"]["body_mass_g"] == pytest.approx(mass.predictions[0])
    for each in others:
        sums(each)
        assert any(each["values"]["body_mass_g"].values())


def test_a_classification_against_the_models_own_example(served: str, penguins: Any, ask: Ask) -> None:
    reply = ask(served, PATH.format("penguins"), {"instances": penguins.examples})
    assert reply.status == 200
    assert reply.json["predictions"] == penguins.predictions
    for each in reply.json["explanations"]:
        sums(each)
        assert set(each["values"]) == {"Adelie", "Chinstrap", "Gentoo"}
        assert set(each["values"]["Adelie"]) == set(penguins.examples[0])
    counted = ask(served, "/metrics").text
    assert 'request_explain_seconds_count{model_name="penguins"} 1.0' in counted
    assert 'code="200",model_name="penguins",protocol="explain",variant="v1",version="1"' in counted


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"instances": []}, 400, "instances is empty"),
        ({"instances": [[1, 2]]}, 400, "row 0 has 2 values"),
        ({"instances": [[1, 2, 3]], "baseline": []}, 400, "baseline: it is empty"),
        ({"instances": [[1, 2, 3]], "baseline": [["x", 2, 3]]}, 400, "baseline: "),
        ({"instances": [[1, 2, 3]], "baseline": 7}, 400, "baseline"),
        ({"instances": [[1, 2, 3]] * 700}, 400, "700 rows against 3 of the baseline are too many for one request"),
        (b"{", 400, "not valid JSON"),
    ],
)
def test_what_cannot_be_explained(served: str, ask: Ask, body: Any, status: int, told: str) -> None:
    reply = ask(served, PATH.format("mass"), body)
    assert (reply.status, set(reply.json)) == (status, {"error"})
    assert told in reply.json["error"]


def test_its_own_method_and_models(served: str, ask: Ask) -> None:
    assert ask(served, PATH.format("nope"), {"instances": [[1]]}).status == 404
    assert ask(served, PATH.format("mass"), method="GET").status == 405


def test_it_ends_when_nobody_waits_any_more(state: Path, slow: Any, declaration: Callable[..., Any], ask: Ask) -> None:
    declared = declaration("slow", slow, timeout="400ms")
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    reply = ask(url, PATH.format("slow"), {"instances": [[0.3]], "baseline": [[0.2]]})
    assert reply.status == 504
    local.stop(state)
    assert "Traceback" not in (state / "server.log").read_text()
