"""Numbers as the page shows them."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float) -> str:
    """A share of 1 with as many digits as it takes to see it: 0.3 %, 12 %."""
    value = share * 100
    digits = 0 if value >= 10 or not value or value == round(value) else 1 if value >= 0.1 else 2
    return f"{value:.{digits}f} %"


def took(seconds: float | None) -> str:
    """A latency: 0.41 ms, 12 ms, 1.3 s; a dash without any."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


def lasted(seconds: float) -> str:
    """A time that passed: 12 seconds, 3 minutes, 5 hours, 2 days."""
    for size, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(int(seconds // size), noun)
    return plural(int(seconds), "second")
