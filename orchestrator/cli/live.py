"""The live view: the tasks of a run, redrawn in place while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.cli import state as states
from orchestrator.cli import wording
from orchestrator.cli.state import RunState, TaskState
from orchestrator.runners.events import Event, Status, TaskFinished, Warned

MOST = 30
"""Rows that are shown at once; with more tasks, finished ones become a line that counts them."""
_BAR = 14
_LOUD = (Status.FAILED, Status.CANCELLED, Status.REJECTED)
_NEXT = 5
_FIRST = (Status.FAILED, Status.RUNNING, Status.CANCELLED)


class View:
    """A context in which events are drawn; on leaving it the last picture stays and the cursor is back."""

    def __init__(self, console: Console, *, unicode: bool = True, now: Callable[[], float] = time.time) -> None:
        self._state = RunState()
        self._console = console
        self._unicode = unicode
        self._now = now
        self._live = Live(self, console=console, refresh_per_second=8, vertical_overflow="crop")

    def __enter__(self) -> View:
        self._live.start(refresh=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, event: Event, before: RunState) -> None:
        """Take an event into the picture; the picture itself is redrawn some times a second."""
        self._state = states.after(before, event)
        for message in warnings(event):
            self._console.print(Text(f"warning: {wording.one_line(message)}", "yellow"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        room = MOST if self._state.status.final else max(3, min(MOST, (options.size.height or 24) - 5))
        yield picture(self._state, now=self._now(), room=room, unicode=self._unicode)


def warnings(event: Event) -> list[str]:
    """What an event warns of."""
    match event:
        case Warned(message):
            return [message]
        case TaskFinished():
            return [f"{event.task.name}: {message}" for message in event.warnings]
        case _:
            return []


def picture(state: RunState, *, now: float, room: int = MOST, unicode: bool = True) -> RenderableType:
    """The run as it is now: a heading and a row for each task, at most `room` of them."""
    shown, hidden = fitting(states.groups(state.tasks.values()), room)
    grid = rows(shown, now=now, unicode=unicode)
    parts: list[RenderableType] = [_heading(state, now=now, unicode=unicode), grid]
    if hidden:
        parts.append(Text(f"{'…' if unicode else '...'}  and {_counted(hidden)}", "dim"))
    return Group(Text(), *parts, Text())


def rows(groups: Sequence[states.Group], *, now: float, unicode: bool = True) -> Table:
    """A row for each task: symbol, name, state, time, and what there is to say."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=1, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=32)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for group in groups:
        grid.add_row(*cells(group, now=now, unicode=unicode))
    return grid


def fitting(groups: Sequence[states.Group], room: int) -> tuple[list[states.Group], list[states.Group]]:
    """What is shown and what is only counted.

    Failed and running tasks matter most, then the few that come next, then those that finished last.
    """
    if len(groups) <= room:
        return list(groups), []
    waiting = [index for index, group in enumerate(groups) if _status(group) is Status.PENDING]
    near = set(waiting[:_NEXT])

    def rank(index: int) -> tuple[int, float]:
        group, status = groups[index], _status(groups[index])
        if status in _FIRST:
            return _FIRST.index(status), index
        if status is Status.PENDING:
            return (3, index) if index in near else (5, index)
        return 4, -max((task.finished or 0.0 for task in group.tasks), default=0.0)

    ranked = sorted(range(len(groups)), key=rank)
    kept = set(ranked[: max(1, room - 1)])
    shown = [group for index, group in enumerate(groups) if index in kept]
    return shown, [group for index, group in enumerate(groups) if index not in kept]


def _heading(state: RunState, *, now: float, unicode: bool) -> Text:
    dot = " · " if unicode else " - "
    over = sum(task.status.final for task in state.tasks.values())
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(state.pipeline or "starting", "bold")
    if state.run:
        line.append(f"{dot}run {state.run}", "dim")
    if state.started:
        line.append(f"{dot}{wording.between(state.started, state.finished, now)}")
    if state.tasks:
        line.append(f"{dot}{over} of {wording.count(len(state.tasks), 'task')} done", "dim")
    return line


def cells(group: states.Group, *, now: float, unicode: bool) -> tuple[Text, ...]:
    """The row of a task: symbol, name, state, time, and what there is to say."""
    status = _status(group)
    look = wording.look(status)
    starts = [task.started for task in group.tasks if task.started]
    ends = [task.finished for task in group.tasks if task.finished]
    done = all(task.status.final for task in group.tasks)
    took = wording.between(min(starts), max(ends) if done and ends else None, now) if starts else ""
    name = group.name if group.single else f"{group.name} ({len(group.tasks)})"
    quiet = status in (Status.PENDING, Status.NOT_TRIGGERED, Status.UNSCHEDULABLE)
    return (
        Text(wording.mark(status, unicode=unicode), look.colour),
        Text(wording.one_line(name), "dim" if quiet else ""),
        Text(look.words, look.colour),
        Text(took),
        _detail(group, unicode=unicode),
    )


def _detail(group: states.Group, *, unicode: bool) -> Text:
    task = group.single
    if task is None:
        over = sum(task.status.final for task in group.tasks)
        if over < len(group.tasks):
            return _bar(over / len(group.tasks), _counted([group]), unicode=unicode)
        reasons = [task.note for task in group.tasks if task.note and task.status is Status.FAILED]
        return _note(reasons[0] if reasons else "", _status(group), before=_counted([group]))
    if task.status is Status.RUNNING and task.progress:
        progress = task.progress
        text = f"{wording.number(progress.done)}/{wording.number(progress.total)} {progress.text}".rstrip()
        return _bar(progress.share, wording.one_line(text), unicode=unicode)
    if task.status is Status.RUNNING and task.attempt > 1:
        return _note(f"attempt {task.attempt}; {task.note}", task.status)
    verdicts = [word for word, _ in states.decisions(task.outputs)]
    return _note(_told(task), Status.REJECTED if "rejected" in verdicts else task.status)


def _told(task: TaskState) -> str:
    if task.status is Status.SKIPPED and not task.note:
        return f"from run {task.cached_from.partition('/')[0]}" if task.cached_from else ""
    return task.note


def _note(text: str, status: Status, *, before: str = "") -> Text:
    colour = wording.look(status).colour if status in _LOUD else "dim"
    joined = "; ".join(part for part in (before, wording.one_line(text)) if part)
    return Text(joined, colour)


def _bar(share: float, text: str, *, unicode: bool) -> Text:
    full, empty = ("━", "─") if unicode else ("#", "-")
    filled = round(share * _BAR)
    return Text.assemble((full * filled, "cyan"), (empty * (_BAR - filled), "dim"), f" {text}")


def _counted(groups: Sequence[states.Group]) -> str:
    counts = {
        status: sum(task.status is status for group in groups for task in group.tasks) for status in wording.LOOKS
    }
    return ", ".join(f"{number} {wording.look(status).words}" for status, number in counts.items() if number)


def _status(group: states.Group) -> Status:
    """What stands for all iterations: a failure, else that some run, else what all of them came to."""
    found = {task.status for task in group.tasks}
    if Status.FAILED in found:
        return Status.FAILED
    if Status.RUNNING in found or (Status.PENDING in found and len(found) > 1):
        return Status.RUNNING
    for status in (Status.CANCELLED, Status.UNSCHEDULABLE, Status.SUCCEEDED, Status.SKIPPED):
        if status in found:
            return status
    return next(iter(found))
