"""The gate decides: AS-01, AS-02 and AS-03, and laws that hold whatever the numbers are."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from components.publish import gate
from components.publish.gate import Decision, Outcome, Slice
from orchestrator.errors import PipelineError

NAN = math.nan
OPERATORS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
finite = st.floats(allow_nan=False, allow_infinity=False)
scores = st.floats(0, 1)


@pytest.mark.parametrize(
    ("rule", "metrics", "outcome", "reason"),
    [
        ("f1 > 0.85", {"f1": 0.85}, "rejected", "f1 = 0.85 is not > 0.85"),
        ("f1 > 0.85", {"f1": 0.8501}, "published", "f1 = 0.8501 > 0.85"),
        ("f1 > 0.85", {"f1": 0.84}, "rejected", "f1 = 0.84 is not > 0.85"),
        ("f1 > 0.85", {"f1": NAN}, "undecided", "f1 > 0.85 cannot be decided: f1 is NaN"),
        (
            "f1 > 0.85",
            {"f2": 0.9},
            "undecided",
            "f1 > 0.85 cannot be decided: no metric 'f1' was measured; known: f2",
        ),
        ("f1 >= 0.85", {"f1": 0.85}, "published", "f1 = 0.85 >= 0.85"),
        ("f1 >= 0.85", {"f1": 0.8501}, "published", "f1 = 0.8501 >= 0.85"),
        ("f1 >= 0.85", {"f1": 0.84}, "rejected", "f1 = 0.84 is not >= 0.85"),
        ("f1 >= 0.85", {"f1": NAN}, "undecided", "f1 >= 0.85 cannot be decided: f1 is NaN"),
        ("f1 >= 0.85", {}, "undecided", "f1 >= 0.85 cannot be decided: no metric 'f1' was measured"),
        ("f1 > 0.85", {"f1": 0.9712345}, "published", "f1 = 0.9712 > 0.85"),
        ("f1 > 0.85", {"f1": 0.83123}, "rejected", "f1 = 0.8312 is not > 0.85"),
        ("f1 >= 0.85", {"f1": 0.849999999}, "rejected", "f1 = 0.849999999 is not >= 0.85"),
        ("f1 > 0.85", {"f1": 0.8500000001}, "published", "f1 = 0.8500000001 > 0.85"),
        ("f1 > 0.84997", {"f1": 0.84996}, "rejected", "f1 = 0.84996 is not > 0.84997"),
        ("rmse < 3", {"rmse": 2.5}, "published", "rmse = 2.5 < 3"),
        ("rmse < 3", {"rmse": math.inf}, "undecided", "rmse < 3 cannot be decided: rmse is infinite"),
        ("rmse > 3", {"rmse": math.inf}, "undecided", "rmse > 3 cannot be decided: rmse is infinite"),
        ("f1 != 0", {"f1": NAN}, "undecided", "f1 != 0 cannot be decided: f1 is NaN"),
        ("acuracy > 0", {"accuracy": 1}, "undecided", None),
        ("f1 / zero > 0", {"f1": 1, "zero": 0}, "undecided", "f1 / zero > 0 cannot be decided: it divides by zero"),
        ("f1 * 1e308 * 10 > 0", {"f1": 1}, "undecided", None),
    ],
)
def test_one_rule(rule: str, metrics: dict[str, float], outcome: str, reason: str | None) -> None:
    decision = gate.decide([rule], metrics)
    assert decision.outcome == outcome
    assert reason is None or decision.reason == reason
    assert decision.checks[0].passed is {"published": True, "rejected": False, "undecided": None}[outcome]


def test_a_misspelt_metric_is_told_the_right_one() -> None:
    decision = gate.decide(["acuracy > 0.5"], {"accuracy": 0.9, "f1": 0.9})
    assert decision.reason == (
        "acuracy > 0.5 cannot be decided: no metric 'acuracy' was measured; did you mean 'accuracy'?"
    )


@pytest.mark.parametrize(
    ("candidate", "baseline", "outcome"),
    [(0.90, 0.88, "published"), (0.90, 0.90, "rejected"), (0.91, 0.90, "published"), (0.89, 0.90, "rejected")],
)
def test_better_than_the_champion_by_a_hundredth(candidate: float, baseline: float, outcome: str) -> None:
    decision = gate.decide(["f1 > 0.85", "f1 >= baseline.f1 + 0.01"], {"f1": candidate}, {"f1": baseline})
    assert decision.outcome == outcome


def test_both_numbers_are_told() -> None:
    decision = gate.decide(["f1 >= baseline.f1 + 0.01"], {"f1": 0.9}, {"f1": 0.9})
    assert decision.reason == "f1 = 0.9 is not >= baseline.f1 + 0.01 = 0.91"


def test_the_first_model_has_no_champion_to_beat() -> None:
    decision = gate.decide(["f1 > 0.85", "f1 >= baseline.f1"], {"f1": 0.9}, None)
    assert (decision.outcome, decision.reason) == (Outcome.PUBLISHED, "f1 = 0.9 > 0.85")
    assert decision.checks[1].note == "skipped: there is no baseline to compare with"
    assert gate.decide(["f1 > 0.85", "f1 >= baseline.f1"], {"f1": 0.8}, None).outcome is Outcome.REJECTED


def test_a_baseline_without_the_metric_is_no_missing_baseline() -> None:
    decision = gate.decide(["f1 > 0.85", "f1 >= baseline.f1"], {"f1": 0.9}, {"accuracy": 0.9})
    assert (decision.outcome, "no metric 'f1' of the baseline was measured" in decision.reason) == ("undecided", True)
    assert gate.decide(["f1 >= baseline.f1"], {"f1": 0.9}, {"f1": NAN}).outcome is Outcome.UNDECIDED
    assert gate.decide(["f1 > 0.85", "f1 >= baseline.f1"], {"f1": 0.9}, {}).outcome is Outcome.UNDECIDED


def test_no_rule_no_publication() -> None:
    assert gate.decide([], {"f1": 1.0}).outcome is Outcome.REJECTED
    assert gate.decide([], {"f1": 1.0}).reason.startswith("no rule, no publication")
    assert gate.decide(["f1 >= baseline.f1"], {"f1": 1.0}).outcome is Outcome.UNDECIDED
    assert gate.decide([], {"f1": 1.0}, unsafe_without_gate=True).outcome is Outcome.PUBLISHED
    assert gate.decide(["f1 >= baseline.f1"], {"f1": 1.0}, unsafe_without_gate=True).outcome is Outcome.PUBLISHED


@pytest.mark.parametrize("metrics", [{"f1": 0.5}, {"f1": NAN}, {}])
def test_no_gate_does_not_mean_a_broken_gate(metrics: dict[str, float]) -> None:
    decision = gate.decide(["f1 > 0.85"], metrics, unsafe_without_gate=True)
    assert decision.outcome is not Outcome.PUBLISHED


SLICES = (
    Slice({"island": "Biscoe"}, {"f1": 0.79}),
    Slice({"island": "Dream"}, {"f1": 0.95}),
    Slice({"island": "Dream", "year": "2007"}, {"f1": 0.99}),
)


@pytest.mark.parametrize(
    ("rule", "outcome", "reason"),
    [
        ("slice(island=Biscoe).f1 > 0.8", "rejected", "slice(island=Biscoe).f1 = 0.79 is not > 0.8"),
        ("slice(island=Dream).f1 > 0.8", "published", "slice(island=Dream).f1 = 0.95 > 0.8"),
        ("slice(year=2007, island=Dream).f1 > 0.98", "published", "slice(year=2007, island=Dream).f1 = 0.99 > 0.98"),
        ("slice(island=Drem).f1 > 0.8", "undecided", None),
        ("slice(island=Dream).f2 > 0.8", "undecided", None),
        ("slice(year=2007).f1 > 0.8", "undecided", None),
    ],
)
def test_slices(rule: str, outcome: str, reason: str | None) -> None:
    decision = gate.decide([rule], {"f1": 0.9}, None, SLICES)
    assert decision.outcome == outcome
    assert reason is None or decision.reason == reason


def test_every_broken_rule_is_told_and_a_broken_one_outweighs_an_open_one() -> None:
    decision = gate.decide(["f1 > 0.85", "auc > 0.9", "rmse < 1", "f2 > 0"], {"f1": 0.5, "rmse": 2, "f2": 1})
    assert decision.outcome is Outcome.REJECTED
    assert decision.reason == "f1 = 0.5 is not > 0.85; rmse = 2 is not < 1"
    assert [check.passed for check in decision.checks] == [False, None, False, True]


def test_rules_that_cannot_be_read_are_all_told_with_their_places() -> None:
    rules: list[Any] = ["f1 > 0.85", "f1 = 0.85", 0.85, "f1 >"]
    with pytest.raises(PipelineError) as error:
        gate.decide(rules, {"f1": 0.9})
    assert [(problem.at.line, problem.at.column) for problem in error.value.problems] == [(2, 4), (3, 1), (4, 5)]
    assert str(error.value.problems[0]).startswith("rules:2:4: expected a comparison")


@given(finite, st.sampled_from(sorted(OPERATORS)), finite)
@example(0.85, ">", 0.85)
@example(-0.0, "==", 0.0)
def test_agrees_with_pythons_own_comparison(left: float, sign: str, right: float) -> None:
    decision = gate.decide([f"a {sign} b"], {"a": left, "b": right})
    assert (decision.outcome is Outcome.PUBLISHED) is OPERATORS[sign](left, right)
    assert decision.outcome is not Outcome.UNDECIDED


@given(st.floats(0, 1e6), st.sampled_from(sorted(OPERATORS)), st.floats(0, 1e6))
def test_a_number_written_in_the_rule_is_that_number(left: float, sign: str, right: float) -> None:
    decision = gate.decide([f"a {sign} {right!r}"], {"a": left})
    assert (decision.outcome is Outcome.PUBLISHED) is OPERATORS[sign](left, right)


@given(scores | st.floats(0.8499, 0.8501), st.sampled_from(sorted(OPERATORS)), scores | st.floats(0.8499, 0.8501))
def test_the_numbers_that_are_shown_say_what_was_decided(left: float, sign: str, right: float) -> None:
    for rule in (f"a {sign} {right!r}", f"a {sign} b"):
        decision = gate.decide([rule], {"a": left, "b": right})
        first, _, rest = decision.reason.removeprefix("a = ").partition(" ")
        shown = float(rest.rpartition(" ")[2])
        assert OPERATORS[sign](float(first), shown) is (decision.outcome is Outcome.PUBLISHED)


Numbers = dict[str, float]
Term = tuple[str, Callable[[Numbers], float]]
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def joined(left: Term, sign: str, right: Term) -> Term:
    return f"({left[0]} {sign} {right[0]})", lambda n: ARITHMETIC[sign](left[1](n), right[1](n))


def negated(term: Term) -> Term:
    return f"-{term[0]}", lambda n: -term[1](n)


terms: st.SearchStrategy[Term] = st.recursive(
    st.sampled_from(["a", "b", "baseline.a"]).map(lambda name: (name, operator.itemgetter(name)))
    | st.sampled_from(["1.5", "0", "3", "1e2"]).map(lambda text: (text, lambda _: float(text))),
    lambda inner: st.builds(joined, inner, st.sampled_from(sorted(ARITHMETIC)), inner) | st.builds(negated, inner),
    max_leaves=8,
)


@given(terms, st.sampled_from(sorted(OPERATORS)), terms, finite, finite, finite)
def test_arithmetic_is_pythons(left: Term, sign: str, right: Term, a: float, b: float, c: float) -> None:
    assume("a" in left[0] + right[0] or "b" in left[0] + right[0])
    decision = gate.decide([f"{left[0]} {sign} {right[0]}"], {"a": a, "b": b}, {"a": c})
    if decision.outcome is Outcome.UNDECIDED:
        return  # not a finite number somewhere on the way, even where Python would go on
    values = [side({"a": a, "b": b, "baseline.a": c}) for _, side in (left, right)]
    assert (decision.outcome is Outcome.PUBLISHED) is OPERATORS[sign](*values)


values = st.none() | st.floats() | scores
rules = st.lists(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["f1", "auc", "f1 + auc", "slice(a=b).f1", "f1 / auc"]),
        st.sampled_from(sorted(OPERATORS)),
        st.sampled_from(["0.5", "0.85", "baseline.f1", "baseline.f1 + 0.01", "baseline.auc"]),
    ),
    max_size=5,
)


@given(rules, st.tuples(*[values] * 5), st.booleans(), st.booleans())
def test_nothing_is_published_over_a_rule_that_is_broken_or_open(
    rules: list[str], numbers: tuple[float | None, ...], first: bool, unsafe: bool
) -> None:
    f1, auc, base_f1, base_auc, sliced = numbers
    measured = {name: value for name, value in (("f1", f1), ("auc", auc)) if value is not None}
    before = {name: value for name, value in (("f1", base_f1), ("auc", base_auc)) if value is not None}
    slices = [Slice({"a": "b"}, {"f1": sliced})] if sliced is not None else []
    decision = gate.decide(rules, measured, None if first else before, slices, unsafe_without_gate=unsafe)
    alone = [gate.decide([rule], measured, None if first else before, slices) for rule in rules]
    if decision.outcome is Outcome.PUBLISHED:
        assert all(each.outcome is Outcome.PUBLISHED or _skipped(each) for each in alone)
        assert unsafe or any(each.outcome is Outcome.PUBLISHED for each in alone)
    else:
        assert not rules or any(each.outcome is not Outcome.PUBLISHED for each in alone)
    assert decision.reason


def _skipped(decision: Decision) -> bool:
    return all(check.skipped for check in decision.checks)
