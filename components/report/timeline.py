"""The tasks in time, and the small histograms, as inline SVG that takes its colours from the page.

Every place across is a percentage, so that a picture fills its room while text beside it keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from components.report import words
from components.report.facts import Bar

# A task of no time at all, such as one from the cache, is still to be seen.
_LEAST = 0.6
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200)
_DAY = 86400.0
_WIDTH, _HEIGHT = 132, 30


@dataclass(frozen=True, slots=True)
class State:
    """How a status is told: by a shape, a word and a colour, so that none of them is needed."""

    symbol: str
    word: str
    kind: str


STATES = {
    "SUCCEEDED": State("✓", "succeeded", "ok"),
    "SKIPPED": State("↺", "from the cache", "cached"),
    "NOT_TRIGGERED": State("○", "not triggered", "idle"),
    "UNSCHEDULABLE": State("⊝", "did not run", "idle"),
    "FAILED": State("✕", "failed", "failed"),
    "CANCELLED": State("■", "cancelled", "cancelled"),
    "RUNNING": State("▸", "still running", "running"),
    "PENDING": State("·", "waiting", "idle"),
}


def state(status: str) -> State:
    """How a status is told; one nobody knows is told as it is."""
    return STATES.get(status, State("?", status.lower().replace("_", " "), "idle"))


def extent(bars: Sequence[Bar]) -> float:
    """The seconds the timeline spans."""
    return max([bar.start + (bar.seconds or 0) for bar in bars if bar.start is not None], default=0.0) or 1e-3


def bar(drawn: Bar, span: float) -> str:
    """A task's place in time."""
    told = state(drawn.status)
    if drawn.start is None:
        return _picture("track", f"{drawn.name}: {told.word}", '<path class="never" d="M0 9H10000"/>')
    # What still runs has no end: it is drawn to the end of the picture.
    long = drawn.seconds if drawn.seconds is not None else max(span - drawn.start, 0)
    width = max(100 * long / span, _LEAST)
    left = min(100 * drawn.start / span, 100 - width)
    said = f"{drawn.name}: {told.word}, began after {words.duration(drawn.start)}"
    said += f", took {words.duration(drawn.seconds)}" if drawn.seconds is not None else ""
    shape = f'<rect class="{told.kind}" x="{left:.3f}%" y="2" width="{width:.3f}%" height="14" rx="3"/>'
    mark = ""
    if drawn.status == "FAILED":
        mark = f'<text class="mark" x="{left + width / 2:.3f}%" y="13" text-anchor="middle">✕</text>'
    return _picture("track", said, f"<title>{escape(said)}</title>{shape}{mark}")


def axis(span: float) -> str:
    """The scale below the tasks."""
    parts = []
    for at in _ticks(span):
        anchor = "start" if not at else "middle" if at < span * 0.94 else "end"
        place = f"{100 * at / span:.3f}%"
        parts.append(f'<line x1="{place}" x2="{place}" y1="0" y2="5"/>')
        parts.append(f'<text x="{place}" y="18" text-anchor="{anchor}">{_tick(at)}</text>')
    return _picture("axis", f"scale from 0 to {words.duration(span)}", "".join(parts))


def histogram(counts: Sequence[int], labels: Sequence[str]) -> str:
    """A bar for each count; its label and count show when pointed at, and the largest is read aloud."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    step = _WIDTH / max(len(counts), 4)
    bars = []
    for place, (count, label) in enumerate(zip(counts, labels, strict=True)):
        high = max(count / highest * (_HEIGHT - 1), 1) if count else 0
        at = f'x="{place * step:.1f}" y="{_HEIGHT - high:.1f}" width="{step - 1:.1f}" height="{high:.1f}"'
        bars.append(f"<rect {at}><title>{escape(label)}: {count:,}</title></rect>")
    said = f"{len(counts)} bars, the largest {labels[counts.index(highest)]}: {highest:,}"
    return (
        f'<svg class="tiny" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"{''.join(bars)}</svg>"
    )


def _ticks(span: float) -> Iterator[float]:
    step = next((each for each in _STEPS if span / each <= 6), 0.0)
    if not step:
        step = _DAY * max(1, round(span / _DAY / 6))
    count = int(span / step + 1e-9)
    yield from (step * each for each in range(count + 1))


def _tick(at: float) -> str:
    return f"{at:g} s" if 0 < at < 60 else words.duration(at) if at else "0"


def _picture(kind: str, said: str, parts: str) -> str:
    return f'<svg class="{kind}" width="100%" height="18" role="img" aria-label="{escape(said)}">{parts}</svg>'
