"""Whether a model is good enough, decided by rules and nothing else: it fails closed, and says why in both numbers.

A rule holds, is broken, cannot be decided (a metric is missing, or is not a finite number), or is skipped (it compares
with a baseline and there is none: the first model of its name). One broken rule rejects; otherwise one that cannot be
decided leaves the decision open, which publishes nothing either; and where no rule was left to check, none was kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from components.publish import rule as rules_
from components.publish.rule import OPERATORS, Binary, Metric, Number, Rule, RuleError, Side, Term
from orchestrator.errors import Location, PipelineError, Problem, did_you_mean


class Outcome(StrEnum):
    """What becomes of the model."""

    PUBLISHED = "published"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the data, named by the values of some columns, and the metrics on it."""

    where: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one rule: `passed` is None when it could not be decided or was skipped."""

    rule: str
    left: float | None
    operator: str
    right: float | None
    passed: bool | None
    said: str
    note: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, its reason in words, and the checks it rests on."""

    outcome: Outcome
    reason: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class _Measured:
    metrics: Mapping[str, float]
    baseline: Mapping[str, float] | None
    slices: Sequence[Slice]


class _UndecidableError(Exception):
    """A side of a rule has no value; the message says why."""


def decide(
    rules: Iterable[object],
    metrics: Mapping[str, float],
    baseline: Mapping[str, float] | None = None,
    slices: Sequence[Slice] = (),
    *,
    unsafe_without_gate: bool = False,
) -> Decision:
    """Check every rule and decide; rules that cannot be read are an error, all at once."""
    measured = _Measured(metrics, baseline, slices)
    checks = tuple(_check(rule, measured) for rule in parse(rules))
    broken = [check.said for check in checks if check.passed is False]
    if broken:
        return Decision(Outcome.REJECTED, "; ".join(broken), checks)
    undecided = [check.said for check in checks if check.passed is None and not check.skipped]
    if undecided:
        return Decision(Outcome.UNDECIDED, "; ".join(undecided), checks)
    kept = [check.said for check in checks if check.passed]
    if kept:
        return Decision(Outcome.PUBLISHED, "; ".join(kept), checks)
    nothing = "there is no baseline to compare with, and no other rule" if checks else "no rule, no publication"
    if unsafe_without_gate:
        return Decision(Outcome.PUBLISHED, f"without a gate, as unsafe_without_gate allows: {nothing}", checks)
    if checks:
        return Decision(Outcome.UNDECIDED, f"{nothing}: add one such as f1 > 0.85 for the first model", checks)
    return Decision(Outcome.REJECTED, f"{nothing}: give rules, or set unsafe_without_gate: true", checks)


def parse(rules: Iterable[object]) -> tuple[Rule, ...]:
    """The rules, or one error with every place where one cannot be read: rules:2:4 is column 4 of the second."""
    read, problems = [], []
    for number, text in enumerate(rules, start=1):
        if not isinstance(text, str):
            message = f"a rule is text, not {text!r}"
            problems.append(Problem(Location("rules", number, 1), message, hint='write it in quotes: "f1 > 0.85"'))
            continue
        try:
            read.append(rules_.parse(text))
        except RuleError as error:
            message = f"{error.message} (in {text.strip()!r})"
            problems.append(Problem(Location("rules", number, error.column), message, hint=error.hint))
    if problems:
        raise PipelineError(problems)
    return tuple(read)


def _check(rule: Rule, measured: _Measured) -> Check:
    if measured.baseline is None and rule.needs_baseline:
        note = "skipped: there is no baseline to compare with"
        return Check(rule.text, None, rule.operator, None, None, f"{rule.text} was {note}", note, skipped=True)
    values: list[float | None] = []
    notes: list[str] = []
    for side in (rule.left, rule.right):
        try:
            values.append(_value(side.term, measured))
        except _UndecidableError as reason:
            values.append(None)
            notes.append(str(reason))
    left, right = values
    if left is None or right is None:
        note = ", ".join(dict.fromkeys(notes))
        said = f"{rule.text} cannot be decided: {note}"
        return Check(rule.text, left, rule.operator, right, None, said, note)
    passed = OPERATORS[rule.operator](left, right)
    return Check(rule.text, left, rule.operator, right, passed, _sentence(rule, left, right, passed=passed))


def _value(term: Term, measured: _Measured) -> float:
    match term:
        case Number(value):
            return value
        case Metric():
            return _metric(term, measured)
        case Binary(sign, left, right):
            return _calculated(sign, _value(left, measured), _value(right, measured))


def _metric(metric: Metric, measured: _Measured) -> float:
    metrics = measured.metrics
    if metric.baseline:
        metrics = measured.baseline or {}
    elif metric.slice:
        metrics = _slice(metric, measured.slices)
    if metric.name not in metrics:
        where = "of the baseline " if metric.baseline else f"of {_named(dict(metric.slice))} " if metric.slice else ""
        hint = did_you_mean(metric.name, metrics)
        raise _UndecidableError(f"no metric {metric.name!r} {where}was measured" + (f"; {hint}" if hint else ""))
    value = float(metrics[metric.name])
    if not math.isfinite(value):
        raise _UndecidableError(f"{metric} is {_short(value)}")
    return value


def _slice(metric: Metric, slices: Sequence[Slice]) -> Mapping[str, float]:
    wanted = dict(metric.slice)
    for each in slices:
        if dict(each.where) == wanted:
            return each.metrics
    known = [_named(each.where) for each in slices]
    hint = did_you_mean(_named(wanted), known)
    raise _UndecidableError(f"{_named(wanted)} was not measured" + (f"; {hint}" if hint else ""))


def _named(where: Mapping[str, str]) -> str:
    return "slice(" + ", ".join(f"{column}={value}" for column, value in sorted(where.items())) + ")"


def _calculated(sign: str, left: float, right: float) -> float:
    match sign:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case _:
            if right == 0:
                raise _UndecidableError("it divides by zero")
            value = left / right
    if not math.isfinite(value):
        raise _UndecidableError(f"{_short(left)} {sign} {_short(right)} is not a finite number")
    return value


def _sentence(rule: Rule, left: float, right: float, *, passed: bool) -> str:
    """`f1 = 0.8312 is not > 0.85`: few digits, but never so few that the numbers seem to say the contrary."""
    few = [
        value if isinstance(side.term, Number) else float(_short(value)) for side, value in _sides(rule, left, right)
    ]
    shown: Callable[[float], str] = _short if OPERATORS[rule.operator](few[0], few[1]) is passed else repr
    said = [
        side.text if isinstance(side.term, Number) else f"{side.text} = {shown(value)}"
        for side, value in _sides(rule, left, right)
    ]
    return f"{said[0]} {'' if passed else 'is not '}{rule.operator} {said[1]}"


def _sides(rule: Rule, left: float, right: float) -> tuple[tuple[Side, float], tuple[Side, float]]:
    return (rule.left, left), (rule.right, right)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    if value == 0 or 0.001 <= abs(value) < 1e6:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.4g}"
