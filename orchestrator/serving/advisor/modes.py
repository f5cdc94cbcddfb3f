"""What each mode of an endpoint can do, as managed platforms bound it, and which modes fit what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.serving.advisor import words
from orchestrator.serving.advisor.needs import Needs
from orchestrator.serving.endpoint import Endpoint, Mode

_HOURS = 730.0
"""In a month."""
_STEADY = 0.5
"""From this share of the time on a model that is loaded on demand is hardly ever not there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a mode; None is no bound."""

    payload: int | None
    seconds: float | None
    idles: bool
    """Whether it may have no replica at all while nobody asks."""
    variants: bool
    accelerator: bool


_MIB = 1 << 20
LIMITS: Mapping[Mode, Limits] = {
    "realtime": Limits(6 * _MIB, 60, idles=False, variants=True, accelerator=True),
    "serverless": Limits(4 * _MIB, 60, idles=True, variants=False, accelerator=False),
    "async": Limits(1024 * _MIB, 3600, idles=True, variants=True, accelerator=True),
    "batch": Limits(None, None, idles=True, variants=False, accelerator=True),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a mode fits; why it does not, how busy it is, and what it costs a month, where that is known."""

    mode: Mode
    against: tuple[str, ...]
    busy: str = ""
    cost: float | None = None

    @property
    def fits(self) -> bool:
        return not self.against


def fits(spec: Endpoint, needs: Needs) -> tuple[Fit, ...]:
    """Every mode, held against what the endpoint is and what is asked of it."""
    found = []
    for mode in LIMITS:
        cost = _cost(mode, spec, needs)
        against = [*_against(mode, spec, needs)]
        if cost is not None and needs.budget is not None and cost > needs.budget:
            against.append(f"costs {words.money(cost)} a month, and {words.money(needs.budget)} may be spent")
        found.append(Fit(mode, tuple(against), _busy(needs), cost))
    return tuple(found)


def best(found: tuple[Fit, ...], spec: Endpoint, needs: Needs) -> Mode | None:
    """The mode to write: what answers at once where that is possible, and costs nothing while hardly anybody asks."""
    possible = {each.mode for each in found if each.fits}
    share = needs.loaded_share(spec.scaling.idle_seconds)
    rare = share is not None and share < _STEADY
    order: tuple[Mode, ...] = ("realtime", "serverless", "async", "batch")
    if rare:
        order = ("serverless", "realtime", "async", "batch")
    elif share is None and spec.mode in possible:  # Nobody said how often: what is written is as good.
        return spec.mode
    return next((mode for mode in order if mode in possible), None)


def _against(mode: Mode, spec: Endpoint, needs: Needs) -> Iterator[str]:
    limits = LIMITS[mode]
    if needs.payload is not None and limits.payload is not None and needs.payload > limits.payload:
        yield f"requests have up to {words.size(needs.payload)}, it takes {words.size(limits.payload)}"
    if needs.duration is not None and limits.seconds is not None and needs.duration > limits.seconds:
        yield f"a request takes {words.time(needs.duration)}, it allows {words.time(limits.seconds)}"
    if len(spec.variants) > 1 and not limits.variants:
        yield f"the file has {len(spec.variants)} variants, it serves one"
    if spec.resources.accelerator is not None and not limits.accelerator:
        yield "the file asks for an accelerator, it has none"


def _busy(needs: Needs) -> str:
    if needs.in_progress is None:
        return ""
    if needs.in_progress < 1:
        return f"{words.percent(needs.in_progress)} of the time"
    return f"{needs.workers} at once"


def _cost(mode: Mode, spec: Endpoint, needs: Needs) -> float | None:
    """Money a month; None when nobody said the price, or how much there is to do."""
    if needs.price is None:
        return None
    if mode == "realtime":
        return max(1, spec.scaling.min, needs.workers or 1) * _HOURS * needs.price
    if mode == "serverless":
        share = needs.loaded_share(spec.scaling.idle_seconds)
        return None if share is None else share * max(1, needs.workers or 1) * _HOURS * needs.price
    return None if needs.in_progress is None else needs.in_progress * _HOURS * needs.price
