"""Numbers, sizes and times as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_NAMES = {"auc": "AUC", "f1": "F1", "r2": "R²", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "mape": "MAPE"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: float | None) -> str:
    """A metric: four decimals where they say something."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite" if value > 0 else "minus infinite"
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    if abs(value) >= 1000 or (value.is_integer() and abs(value) >= 10):
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-3:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"


def exact(value: float | None) -> str:
    """A number of a rule, with all its digits: what was compared is what a reviewer must see."""
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{value:.12g}"


def cell(value: float | str | None) -> str:
    """A statistic: short, because its column is narrow."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if len(value) <= 20 else value[:19] + "…"
    if not math.isfinite(value):
        return number(value)
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3e}"


def metric(name: str) -> str:
    """A metric's name in words."""
    if name in _NAMES:
        return _NAMES[name]
    words = name.replace("_", " ")
    return (words[:1].upper() + words[1:]).replace(" f1", " F1")


def size(count: int) -> str:
    """Bytes, in the unit that leaves at most three digits before the point."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float | None) -> str:
    """How long something took."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 9.95:
        return f"{max(seconds, 0):.2f} s" if seconds >= 0.005 else "0 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(at: float | None) -> str:
    """Seconds since the epoch as a day and a time, in UTC so that the page is the same wherever it is made."""
    if at is None:
        return ""
    try:
        return f"{_EPOCH + timedelta(seconds=at):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError):
        return f"{at} s after 1970"


def iso(text: str) -> str:
    """A time written in ISO 8601 as `moment` shows it; as it is when it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment(at.timestamp()) if at.tzinfo else text


def count(amount: int, word: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{amount:,} {word}" if amount == 1 else f"{amount:,} {word}s"


def join(names: Sequence[str], *, most: int = 5) -> str:
    """`a, b and c`; of many the first ones and how many more."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
