"""When each task of a run was at work: bars on a scale of time, and the chain of tasks that the run waited for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator import ir
from orchestrator.errors import OrchestratorError
from orchestrator.history import specification
from orchestrator.runners.events import Status
from orchestrator.runners.local import graph
from orchestrator.stores.records import Attempt, RunRecord, TaskRecord

_IDLE = 0.15  # Of the time at work: a pause that is longer, and long for a person, is cut out of the scale.
_LONG = 60.0
_CUT = 0.02  # What is left of it.


@dataclass(frozen=True, slots=True)
class Span:
    """A time at work."""

    started: float
    finished: float
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A task with its attempts, the last of which has the task's status; none when it never began."""

    name: str
    status: str
    spans: tuple[Span, ...]
    critical: bool = False
    """Whether the run waited for it."""

    @property
    def seconds(self) -> float:
        """From its beginning to its end."""
        return self.spans[-1].finished - self.spans[0].started if self.spans else 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Time as a share from 0 to 1, without long times in which nothing was at work."""

    points: tuple[tuple[float, float], ...]
    """Moments and their shares, both rising."""
    cuts: tuple[float, ...] = ()
    """The shares at which a time was cut out."""

    def share(self, moment: float) -> float:
        """Where a moment lies."""
        before, *rest = self.points
        for after in rest:
            if moment <= after[0]:
                width = after[0] - before[0]
                inside = (moment - before[0]) / width if width > 0 else 0.0
                return before[1] + (after[1] - before[1]) * max(0.0, inside)
            before = after
        return 1.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run as a picture shows it."""

    run: str
    pipeline: str
    status: str
    started: float
    finished: float
    bars: tuple[Bar, ...]
    scale: Scale
    most: int
    """How many tasks were at work at once, at most."""


def of(
    run: RunRecord,
    tasks: Sequence[TaskRecord],
    attempts: Mapping[str, Sequence[Attempt]],
    *,
    status: str,
    now: float,
) -> Timeline:
    """The timeline of a run; `now` is where a task that goes on ends for the time being."""
    chain = critical(run, tasks)
    bars = [
        Bar(task.name, task.status, tuple(_spans(task, attempts.get(task.path, ()), now)), task.path in chain)
        for task in tasks
    ]
    ordered = sorted(bars, key=lambda bar: bar.spans[0].started if bar.spans else float("inf"))
    spans = [span for bar in bars for span in bar.spans]
    ends = [span.finished for span in spans]
    finished = run.finished or max(ends, default=now if status == Status.RUNNING else run.started)
    first = min([run.started, *(span.started for span in spans)])
    return Timeline(
        run.id, run.pipeline, status, first, finished, tuple(ordered), scale(spans, first, finished), most(spans)
    )


def critical(run: RunRecord, tasks: Sequence[TaskRecord]) -> set[str]:
    """The paths of the tasks that the run waited for: from the last that ended, back to what each waited for last."""
    try:
        uses = specification.uses(ir.load(run.ir, run.id)[0])
    except OrchestratorError:
        return set()
    ended = {task.path: task for task in tasks if task.started and task.finished}
    chain: set[str] = set()
    task = max(ended.values(), key=lambda each: each.finished or 0.0, default=None)
    while task is not None and task.path not in chain:
        chain.add(task.path)
        before = [ended[path] for path in _needs(task.path, list(ended), uses) if path not in chain]
        task = max(before, key=lambda each: each.finished or 0.0, default=None)
    return chain


def most(spans: Sequence[Span]) -> int:
    """How many spans there are at one moment, at most."""
    changes = sorted([(span.started, 1) for span in spans] + [(span.finished, -1) for span in spans])
    count = highest = 0
    for _, change in changes:
        count += change
        highest = max(highest, count)
    return highest


def scale(spans: Sequence[Span], first: float, last: float) -> Scale:
    """The scale from the first moment to the last, with long idle times cut short."""
    busy: list[list[float]] = []
    for started, finished in sorted([(span.started, span.finished) for span in spans] + [(first, first), (last, last)]):
        if busy and started <= busy[-1][1]:
            busy[-1][1] = max(busy[-1][1], finished)
        else:
            busy.append([started, finished])
    work = sum(end - start for start, end in busy)
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(busy)]
    kept = [gap if gap <= max(_LONG, _IDLE * work) else _CUT * work for gap in gaps]
    total = (work + sum(kept)) or 1.0
    points = [(first, 0.0)]
    cuts = []
    at = 0.0
    for index, (start, end) in enumerate(busy):
        at += (end - start) / total
        points.append((end, at))
        if index < len(gaps):
            if kept[index] != gaps[index]:
                cuts.append(at + kept[index] / total / 2)
            at += kept[index] / total
            points.append((end + gaps[index], at))
    return Scale(tuple(points), tuple(cuts))


def _spans(task: TaskRecord, attempts: Sequence[Attempt], now: float) -> Iterator[Span]:
    if not task.started:
        return
    finished = task.finished or now
    earlier = [each for each in attempts if each.started and each.started >= task.started and each.finished]
    for each in earlier:
        yield Span(each.started or 0.0, each.finished or finished, Status.FAILED, each.reason)
    last = [each.started for each in attempts if each.started and not each.finished]
    if last or not earlier:
        yield Span(last[-1] or task.started if last else task.started, finished, task.status, task.reason)


def _needs(path: str, paths: Sequence[str], uses: Mapping[str, specification.Use]) -> Iterator[str]:
    """The tasks a task waited for: what its own entry names, and that of every group around it."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        use = uses.get(_unrolled(parts[:end], uses))
        for name in graph.upstream(use.task) if use else ():
            place = "/".join([*parts[: end - 1], name])
            yield from (each for each in paths if each == place or each.startswith(place + "/"))


def _unrolled(parts: Sequence[str], uses: Mapping[str, specification.Use]) -> str:
    """The path in the specification: without the numbers of iterations."""
    path = ""
    for part in parts:
        longer = f"{path}/{part}" if path else part
        if longer in uses or not part.isdecimal():
            path = longer
    return path
