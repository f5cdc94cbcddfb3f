"""A pipeline in a terminal: a line per task, and a lane for every task whose outputs are still waited for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from orchestrator.pipeline.picture.boxes import Box

_MARKS = {
    "SUCCEEDED": "✔",
    "SKIPPED": "↺",
    "FAILED": "✘",
    "RUNNING": "▶",
    "NOT_TRIGGERED": "∅",
    "CANCELLED": "■",
    "PENDING": "·",
}
_MOST_LANES = 16


def text(whole: Box, *, width: int = 80) -> str:
    """The pipeline as lines of text, no longer than `width`; statuses become marks."""
    heading = f"{whole.title}: {whole.note}" if whole.note else whole.title
    rows = [*(("", line, "") for line in textwrap.wrap(heading, width)), *_rows(whole, "")]
    tasks = [len(lanes) + len(name) for lanes, name, note in rows if note]
    column = min(max(tasks, default=0) + 2, width // 2)
    lines = []
    for lanes, name, note in rows:
        line = f"{lanes}{name}"
        if note:
            line = f"{line:<{column}} {note}"
        lines.append(line.rstrip() if len(line) <= width else line[: width - 1] + "…")
    return "\n".join(lines) + "\n"


def _rows(frame: Box, indent: str) -> Iterator[tuple[str, str, str]]:
    """Lanes, name and note of every line below a frame."""
    tasks = _order(frame)
    last_use = dict(sorted(frame.needs, key=_by(tasks)))
    lanes: list[str | None] = []
    for box in tasks:
        if box.kind == "finally":
            yield indent, "", ""
            yield indent, box.title, ""
            yield from _rows(box, indent)
            continue
        needs = [producer for producer, consumer in frame.needs if consumer == box.name]
        drawn = _lanes(lanes, box, needs, last_use)
        if len(lanes) > _MOST_LANES:
            drawn = _mark(box, alone=not needs)
        name, note = _told(box)
        yield f"{indent}{drawn} ", name, note
        inner = _core(box)
        if box.kind == "one_of":
            below = indent + _passing(lanes)
            for branch in box.inside:
                title, about = _told(branch)
                yield f"{below}  {_mark(branch)} ", title, about
                yield from _rows(_core(branch), f"{below}    ")
        elif inner.inside:
            yield from _rows(inner, f"{indent}{_passing(lanes)}  ")


def _order(frame: Box) -> list[Box]:
    """Producers first; of the tasks that are ready, one that needs the latest goes next, so that lanes stay short."""
    waiting: dict[str, set[str]] = {box.name: set() for box in frame.inside}
    for producer, consumer in frame.needs:
        waiting[consumer].add(producer)
    by_name = {box.name: box for box in frame.inside if box.kind != "finally"}
    done: dict[str, int] = {}
    while len(done) < len(by_name):
        ready = [name for name in by_name if name not in done and waiting[name] <= done.keys()]
        name = min(ready, key=lambda each: (-max((done[need] for need in waiting[each]), default=-1), each))
        done[name] = len(done)
    return [*(by_name[name] for name in done), *(box for box in frame.inside if box.kind == "finally")]


def _by(tasks: list[Box]) -> _Key:
    return _Key({box.name: index for index, box in enumerate(tasks)})


class _Key:
    """Sorts edges by where their consumer stands."""

    def __init__(self, place: Mapping[str, int]) -> None:
        self.place = place

    def __call__(self, edge: tuple[str, str]) -> tuple[int, str]:
        return self.place[edge[1]], edge[0]


def _lanes(lanes: list[str | None], box: Box, needs: list[str], last_use: Mapping[str, str]) -> str:
    """One line of lanes with the task's mark; `lanes` is brought up to date."""
    ending = [index for index, open_ in enumerate(lanes) if open_ in needs and last_use.get(str(open_)) == box.name]
    needed = [index for index, open_ in enumerate(lanes) if open_ in needs]
    own = ending[0] if ending else lanes.index(None) if None in lanes else len(lanes)
    if own == len(lanes):
        lanes.append(None)
    reach = [*needed, own]
    signs = []
    for index, open_ in enumerate(lanes):
        inside = min(reach) < index < max(reach)
        if index == own:
            sign = _mark(box, alone=not needs)
        elif index in needed:
            sign = _turn(index in ending, index == min(reach), index == max(reach))
        elif open_ is not None:
            sign = "│" if not inside else "┼"
        else:
            sign = "─" if inside else " "
        signs.append(sign + ("─" if min(reach) <= index < max(reach) else " "))
    for index in ending:
        lanes[index] = None
    lanes[own] = box.name if box.name in last_use else None
    while lanes and lanes[-1] is None:
        lanes.pop()
    return "".join(signs).rstrip()


def _turn(ends: bool, first: bool, last: bool) -> str:
    if first:
        return "╰" if ends else "├"
    if last:
        return "╯" if ends else "┤"
    return "┴" if ends else "┼"


def _passing(lanes: list[str | None]) -> str:
    return "".join("│ " if open_ is not None else "  " for open_ in lanes)


def _told(box: Box) -> tuple[str, str]:
    """Name and note of a box, with what its frames say."""
    frames = []
    while _wraps(box):
        frames.append(box.title)
        box = box.inside[0]
    name = box.title
    return name, "  ".join(part for part in (box.note, *frames) if part)


def _core(box: Box) -> Box:
    while _wraps(box):
        box = box.inside[0]
    return box


def _wraps(box: Box) -> bool:
    """Whether a box only says when, or how often, the one task inside it runs."""
    return box.kind in ("when", "foreach") and len(box.inside) == 1


def _mark(box: Box, *, alone: bool = False) -> str:
    """A status, or else what the box is; hollow when it needs no other, for it may stand right below one."""
    core = _core(box)
    many = "▢" if alone else "▣"
    frame = "◇" if core.kind == "one_of" else many if core.inside else "○" if alone else "●"
    return _MARKS.get(core.status, frame)
