"""What will be asked of an endpoint: how large requests are, how long they take, how many come, what it may cost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*([0-9]+(?:\.[0-9]+)?)?\s*(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Needs:
    """What is known beforehand; None is what nobody said."""

    payload: int | None = None
    """The largest request, in bytes."""
    duration: float | None = None
    """The longest that a request takes, in seconds."""
    concurrency: int | None = None
    """The most requests at once."""
    rate: float | None = None
    """Requests a second, on average."""
    budget: float | None = None
    """Money a month."""
    price: float | None = None
    """Money for one replica, or worker, in an hour."""

    @property
    def in_progress(self) -> float | None:
        """How many requests are in progress at once, on average: each occupies a replica or a worker (Little's law)."""
        return None if self.rate is None or self.duration is None else self.rate * self.duration

    @property
    def workers(self) -> int | None:
        """How many must work at once to keep up; exactly enough counts as enough."""
        return None if self.in_progress is None else max(1, math.ceil(round(self.in_progress, 9)))

    def loaded_share(self, idle: float) -> float | None:
        """The share of the time in which a model is loaded that unloads after `idle` seconds without a request."""
        return None if self.rate is None else 1 - math.exp(-self.rate * idle)


def rate(text: str) -> float:
    """ "100000/h", "20/s" or "500/8h" as requests a second."""
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match[2] or 1):
        raise ValueError(f"{text!r} is not a rate: for example 20/s, 100000/h, 500/8h or 2/30d")
    return float(match[1]) / (float(match[2] or 1) * _SECONDS[match[3]])
