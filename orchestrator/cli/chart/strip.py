"""A timeline in a terminal: a line for each task, a bar that says by its letters how each attempt ended."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from orchestrator.cli import wording
from orchestrator.history.timeline import Bar, Span, Timeline
from orchestrator.runners.events import Status

MOST = 60
"""Lines for tasks; of more, those are shown that the run waited for or that took longest."""
_FILLED = {
    Status.SUCCEEDED: ("█", "="),
    Status.RUNNING: ("░", "~"),
    Status.FAILED: ("▓", "x"),
    Status.CANCELLED: ("▚", "#"),
    Status.SKIPPED: ("↺", "c"),
}


def text(timeline: Timeline, *, width: int = 80, unicode: bool = True) -> str:
    """The timeline as lines no longer than `width`."""
    shown, hidden = chosen(timeline.bars, MOST)
    named = min(max((len(bar.name) for bar in shown), default=4), max(12, width // 4))
    took = max((len(_took(bar)) for bar in shown), default=0)
    room = max(10, width - named - took - 7)
    lines = [_heading(timeline, unicode=unicode), ""]
    for bar in shown:
        name = wording.printable(bar.name)
        name = name if len(name) <= named else name[: named - 1] + ("…" if unicode else "~")
        mark = wording.mark(bar.status, unicode=unicode)
        star = "*" if bar.critical else " "
        lines.append(
            f"{mark} {name:<{named}} {star} {_drawn(bar, timeline, room, unicode=unicode)} {_took(bar):>{took}}"
        )
    before = " " * (named + 5)
    lines += [before + line for line in _axis(timeline, room)]
    if hidden:
        lines.append(f"and {wording.count(len(hidden), 'shorter task')}")
    lines += ["", *_legend(timeline, shown, width, unicode=unicode)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def chosen(bars: Sequence[Bar], most: int) -> tuple[list[Bar], list[Bar]]:
    """The bars that are shown, in their order, and those that are only counted."""
    if len(bars) <= most:
        return list(bars), []

    def rank(index: int) -> tuple[bool, bool, float]:
        bar = bars[index]
        return not bar.critical, bar.status not in (Status.FAILED, Status.RUNNING), -bar.seconds

    kept = set(sorted(range(len(bars)), key=rank)[:most])
    return [bar for i, bar in enumerate(bars) if i in kept], [bar for i, bar in enumerate(bars) if i not in kept]


def ticks(timeline: Timeline, count: int) -> list[tuple[float, str]]:
    """Shares of the scale and the time since the start that each stands for: round numbers of the unit."""
    seconds = timeline.finished - timeline.started
    if seconds <= 0 or timeline.scale.cuts:
        return [(0.0, "0 s"), (1.0, wording.duration(seconds))] if seconds > 0 else [(0.0, "0 s")]
    steps = [base * 10.0**power for power in range(-3, 1) for base in (1, 2, 5)]
    steps += [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400]
    step = next((each for each in steps if seconds / each <= count), seconds / count)
    places = [index * step for index in range(math.floor(seconds / step) + 1)]
    return [(timeline.scale.share(timeline.started + each), _tick(each, step)) for each in places]


def _tick(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.{max(0, -math.floor(math.log10(step)))}f} s"
    return "0 s" if not seconds else f"{seconds:g} s" if seconds < 60 else wording.duration(seconds)


def summary(timeline: Timeline) -> str:
    """How it went, in words."""
    took = wording.duration(timeline.finished - timeline.started)
    parts = [f"{wording.look(timeline.status).words} in {took}"]
    if timeline.most:
        parts.append(f"at most {wording.count(timeline.most, 'task')} at once")
    return ", ".join(parts)


def path(timeline: Timeline) -> str:
    """The critical path in words; "" when it is not known."""
    chain = [bar for bar in timeline.bars if bar.critical]
    if not chain:
        return ""
    names = [bar.name for bar in chain]
    told = " > ".join(names) if len(names) <= 8 else " > ".join([*names[:4], f"... {len(names) - 7} ...", *names[-3:]])
    return f"{told} ({wording.duration(sum(bar.seconds for bar in chain))})"


def _heading(timeline: Timeline, *, unicode: bool) -> str:
    mark = wording.mark(timeline.status, unicode=unicode)
    return f"{mark} {timeline.pipeline}  run {timeline.run}: {summary(timeline)}"


def _took(bar: Bar) -> str:
    return (
        wording.duration(bar.seconds) if bar.spans and bar.status != Status.SKIPPED else wording.look(bar.status).words
    )


def _drawn(bar: Bar, timeline: Timeline, room: int, *, unicode: bool) -> str:
    cells = [" "] * room
    for cut in timeline.scale.cuts:
        cells[min(room - 1, int(cut * room))] = "┊" if unicode else ":"
    for span in bar.spans:
        begin, end = (timeline.scale.share(each) * room for each in (span.started, span.finished))
        first = min(room - 1, int(begin))
        last = max(first + 1, min(room, round(end)))
        cells[first:last] = [_letter(span, unicode=unicode)] * (last - first)
    return "".join(cells)


def _letter(span: Span, *, unicode: bool) -> str:
    known = _FILLED.get(Status(span.status), ("-", "-"))
    return known[0] if unicode else known[1]


def _axis(timeline: Timeline, room: int) -> list[str]:
    found = ticks(timeline, max(2, room // 12))
    line, words = [" "] * (room + 1), [" "] * (room + 12)
    for share, label in found:
        at = min(room, round(share * room))
        line[at] = "'"
        begin = max(0, min(at, room - len(label)))
        words[begin : begin + len(label)] = label
    return ["".join(line), "".join(words).rstrip()]


def _legend(timeline: Timeline, shown: Sequence[Bar], width: int, *, unicode: bool) -> list[str]:
    met = dict.fromkeys(Status(span.status) for bar in shown for span in bar.spans)
    told = [f"{_letter(Span(0, 0, status), unicode=unicode)} {wording.look(status).words}" for status in met]
    if timeline.scale.cuts:
        told.append(f"{'┊' if unicode else ':'} nothing ran for long")
    lines = ["  ".join(told)] if told else []
    chain = path(timeline)
    waited = f"* the run waited for: {chain}" if chain else ""
    return [*lines, *textwrap.wrap(waited, width, subsequent_indent="  ", break_on_hyphens=False)]
