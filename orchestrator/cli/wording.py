"""Times, sizes, statuses and values as a person reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.runners.events import Status


@dataclass(frozen=True, slots=True)
class Look:
    """How a status is shown: a symbol (and one for terminals without it), a colour and words."""

    symbol: str
    plain: str
    colour: str
    words: str


LOOKS = {
    Status.PENDING: Look("·", ".", "dim", "waiting"),
    Status.RUNNING: Look("●", "*", "cyan", "running"),
    Status.SUCCEEDED: Look("✓", "+", "green", "succeeded"),
    Status.SKIPPED: Look("↺", "=", "blue", "cached"),
    Status.NOT_TRIGGERED: Look("○", "o", "dim", "not triggered"),
    Status.UNSCHEDULABLE: Look("⊘", "-", "yellow", "not started"),
    Status.FAILED: Look("✗", "x", "red", "failed"),
    Status.CANCELLED: Look("◼", "#", "yellow", "cancelled"),
    Status.REJECTED: Look("■", "!", "yellow", "rejected"),
    Status.UNDECIDED: Look("?", "?", "red", "undecided"),
}
INTERRUPTED = "INTERRUPTED"
"""A run that is recorded as running and whose process is gone."""
DETACHED = "DETACHED"
"""A run on a cluster that is recorded as running and that nobody watches."""
_ODD = {
    INTERRUPTED: Look("⊘", "-", "yellow", "interrupted"),
    DETACHED: Look("◌", "~", "cyan", "not watched"),
}

_LONG = 200
"""Letters of a value beyond which it is too long to stand among others."""

# The large unit, the small one, their sizes, and up to where they are used.
_SCALES = (
    ("min", "s", 60, 1, 3600),
    ("h", "min", 3600, 60, 86400),
    ("d", "h", 86400, 3600, float("inf")),
)


def look(status: str) -> Look:
    """The look of a status as it was recorded; a word we do not know stands for itself."""
    if status in _ODD:
        return _ODD[status]
    try:
        return LOOKS[Status(status)]
    except ValueError:
        return Look("?", "?", "dim", status.lower())


def mark(status: str, *, unicode: bool) -> str:
    """The symbol of a status."""
    found = look(status)
    return found.symbol if unicode else found.plain


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `2 min 3 s`, `1 h 5 min`, `3 d 4 h`; nothing for a time that is not known."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, size, part = next(scale for scale in _SCALES if whole < scale[-1])[:4]
    rest = whole % size // part
    return f"{whole // size} {large} {rest} {small}" if rest else f"{whole // size} {large}"


def between(started: float | None, finished: float | None, now: float) -> str:
    """How long something took, or has taken so far."""
    return duration((finished or now) - started) if started else ""


def clock(at: float) -> str:
    """The time of day here, e.g. `14:03:07`."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def moment(at: float | None) -> str:
    """Date and time here, e.g. `2025-11-20 14:03:07`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""


def iso(at: float | None) -> str | None:
    """Date and time for machines, with the offset from UTC."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds") if at else None


def size(count: int) -> str:
    """Bytes as `812 B`, `4.1 KB`, `23 MB`."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.1f} {unit}" if unit != "B" and amount < 9.95 else f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def number(value: float) -> str:
    """A number short enough to read; four digits after the point do for a metric."""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if 0.001 <= abs(value) < 1e6 else f"{value:g}"
    return str(value)


def value(given: Any) -> str:
    """A parameter's value on one line."""
    match given:
        case bool():
            return str(given).lower()
        case int() | float():
            return number(given)
        case str():
            return one_line(given) or '""'
        case _:
            return one_line(json.dumps(given, ensure_ascii=False, default=str))


def short(given: Any) -> str:
    """A parameter's value as one of many; a long one is cut off, and its length told."""
    text = value(given)
    return text if len(text) <= _LONG else f"{text[: _LONG - 30]}... ({len(text):,} letters)"


def parameters(values: Mapping[str, Any]) -> str:
    """Parameters on one line: `f1 = 0.97, rows = 103`."""
    return ", ".join(f"{name} = {short(given)}" for name, given in values.items())


def kind(type: str) -> str:
    """An artifact's type without the namespace of KFP's own: `system.Model` is a Model."""
    return type.removeprefix("system.")


def printable(text: str) -> str:
    """The text without control characters, which a task's output could use to rewrite the screen."""
    return "".join(
        letter if letter in "\n\t" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def one_line(text: str) -> str:
    """The text on one line."""
    return printable(" ".join(text.split()))


def count(number: int, noun: str) -> str:
    """`1 problem`, `3 problems`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
