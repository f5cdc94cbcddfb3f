"""Whether an alarm fires: what it watches against its bound, early only where chance cannot be the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from orchestrator.serving.guard import Alarm
from orchestrator.serving.rollout.reading import Window

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
# How unlikely it must be that a version which keeps its bound looks as bad as this one does after a part of the time.
_CHANCE = 0.01

_NOBODY = "no request reached the new version"

Outcome = Literal["holds", "breached", "missing"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one alarm: its value, and the words for it."""

    alarm: Alarm
    outcome: Outcome
    value: float | None
    text: str


def judge(alarm: Alarm, seen: Window, queried: float | None, *, final: bool) -> Judgement:
    """One alarm over what the new version did so far. `final` says that its time is over: then every number counts."""
    if alarm.metric is None:
        return _judged(alarm, queried, f"its query gave {'nothing' if queried is None else f'{queried:g}'}", final=True)
    value = _value(alarm, seen)
    if value is None:
        why = f"none of its {seen.requests:,.0f} requests was answered" if seen.requests else _NOBODY
        return Judgement(alarm, "missing", None, why)
    told = f"{alarm.metric} was {shown(alarm, value)} ({_of(alarm, seen)})"
    if alarm.metric == "requests":
        told = f"there were {_of(alarm, seen)}"
    return _judged(alarm, value, told, final=final or _is_certain(alarm, seen))


def shown(alarm: Alarm, value: float) -> str:
    """A number as people read it: a share in percent, a time in milliseconds or seconds."""
    if alarm.metric in ("error_rate", "refused_rate"):
        return f"{value * 100:.3g} %"
    if alarm.metric in _QUANTILES:
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:,.6g}"


def bound(alarm: Alarm) -> str:
    """What the alarm demands, in words."""
    if alarm.above is not None:
        return f"at most {shown(alarm, alarm.above)} is allowed"
    return f"at least {shown(alarm, alarm.below or 0.0)} is asked for"


def _value(alarm: Alarm, seen: Window) -> float | None:
    match alarm.metric:
        case "error_rate":
            return seen.rate(seen.errors)
        case "refused_rate":
            return seen.rate(seen.refused)
        case "requests":
            return seen.requests
        case None:
            return None
        case quantile:
            return seen.quantile(_QUANTILES[quantile])


def _judged(alarm: Alarm, value: float | None, told: str, *, final: bool) -> Judgement:
    if value is None:
        return Judgement(alarm, "missing", None, told)
    is_over = alarm.above is not None and value > alarm.above
    is_under = alarm.below is not None and value < alarm.below
    if final and (is_over or is_under):
        return Judgement(alarm, "breached", value, f"{told}, {bound(alarm)}")
    return Judgement(alarm, "holds", value, told)


def _is_certain(alarm: Alarm, seen: Window) -> bool:
    """Whether what was seen is already more than chance.

    A quantile above its bound is a share of slow requests above what is left: both are counts out of counts.
    """
    if alarm.above is None:
        return False  # That too little was seen is known when the time is over.
    match alarm.metric:
        case "error_rate":
            return _is_improbable(seen.errors, seen.requests, alarm.above)
        case "refused_rate":
            return _is_improbable(seen.refused, seen.requests, alarm.above)
        case "p50" | "p90" | "p99":
            return _is_improbable(seen.slower(alarm.above), seen.timed, 1 - _QUANTILES[alarm.metric])
        case _:
            return True


def _is_improbable(found: float, of: float, allowed: float) -> bool:
    """Whether so many of so many are improbable if `allowed` is the true share (Chernoff's bound of a binomial)."""
    if not of or found / of <= allowed:
        return False
    share = min(found / of, 1.0)
    if allowed <= 0:
        return True
    surprise = share * math.log(share / allowed)
    if share < 1:
        surprise += (1 - share) * math.log((1 - share) / (1 - allowed))
    return of * surprise > -math.log(_CHANCE)


def _of(alarm: Alarm, seen: Window) -> str:
    if alarm.metric in ("error_rate", "refused_rate"):
        count = seen.errors if alarm.metric == "error_rate" else seen.refused
        return f"{count:,.0f} of {seen.requests:,.0f} requests"
    return f"{seen.requests or seen.timed:,.0f} requests"
