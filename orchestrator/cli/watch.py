"""Follow a run to its end: a view is shown every event and told the end, and what was deployed is asked something."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from orchestrator import runs
from orchestrator.cli import machine, plain, screen, summary
from orchestrator.cli import state as states
from orchestrator.cli.state import RunState
from orchestrator.errors import OrchestratorError
from orchestrator.runners.events import Event, Status
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import ENDPOINT
from orchestrator.stores.records import LOCAL

if TYPE_CHECKING:
    from orchestrator.cli import live

CODES = {Status.SUCCEEDED: 0, Status.REJECTED: 0, Status.UNDECIDED: 3, Status.FAILED: 3, Status.CANCELLED: 130}
NEW = RunState()


class View(Protocol):
    """Something that shows a run."""

    def show(self, event: Event, before: RunState) -> None:
        """Take in an event; `before` is the run without it."""

    def leave(self) -> None:
        """The run is over, or will not be looked at any more: give the terminal back."""

    def end(self, state: RunState) -> None:
        """Say how it ended."""

    def answered(self, answer: runs.Answer) -> None:
        """Say what an endpoint answered."""

    def served(self, endpoint: runs.Served) -> None:
        """Say what a cluster serves now."""


def watch(events: Iterator[Event], view: View, settings: Settings, state: RunState = NEW) -> int:
    """Show events until there are none; the exit code. `state` is what is known of the run already."""
    try:
        for event in events:
            view.show(event, state)
            state = states.after(state, event)
    finally:
        view.leave()
    if not state.run:
        return 0
    view.end(state)
    if state.status is Status.SUCCEEDED and _deployed(state):
        _tell_endpoints(view, settings, state)
    if state.status not in CODES:
        raise OrchestratorError(f"run {state.run} ended without saying how", hint=f"orc show {state.run}")
    return CODES[state.status]


def _tell_endpoints(view: View, settings: Settings, state: RunState) -> None:
    """What is served on this machine is asked something; what is served on a cluster may not be reached from here."""
    if state.on == LOCAL:
        for answer in runs.answers(state.run, settings):
            view.answered(answer)
    else:
        for endpoint in runs.served(state.run, settings):
            view.served(endpoint)


def _deployed(state: RunState) -> bool:
    return any(task.artifacts(ENDPOINT) for task in state.tasks.values())


class _Text:
    """What the live and the plain view have in common: the end, in words."""

    def leave(self) -> None:
        """Nothing to give back."""

    def end(self, state: RunState) -> None:
        if not screen.is_terminal():
            print()
        screen.tell(summary.lines(state, unicode=screen.is_unicode()))

    def answered(self, answer: runs.Answer) -> None:
        screen.tell(summary.answer(answer))

    def served(self, endpoint: runs.Served) -> None:
        screen.tell(summary.served(endpoint))


class Live(_Text):
    """The picture that is redrawn in place."""

    def __init__(self) -> None:
        self._view: live.View | None = None

    def show(self, event: Event, before: RunState) -> None:
        # Entered with the first event, so that a file that does not compile is told on an untouched terminal.
        if self._view is None:
            from orchestrator.cli import live  # What draws costs a tenth of the start, and pipes need none of it.

            self._view = live.View(screen.console(), unicode=screen.is_unicode()).__enter__()
        self._view.show(event, before)

    def leave(self) -> None:
        if self._view is not None:
            self._view.__exit__(None, None, None)


class Plain(_Text):
    """A line for every change."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def show(self, event: Event, before: RunState) -> None:
        path = event.task.path if hasattr(event, "task") else ""
        for line in plain.lines(event, before, said=self._said.get(path, 0.0)):
            self._said[path] = event.at
            print(line, flush=True)


class Json:
    """One JSON object a line."""

    def show(self, event: Event, before: RunState) -> None:  # noqa: ARG002
        self._write(machine.event(event))

    def leave(self) -> None:
        """Nothing to give back."""

    def end(self, state: RunState) -> None:
        """The last event said it."""

    def answered(self, answer: runs.Answer) -> None:
        self._write(machine.answer(answer))

    def served(self, endpoint: runs.Served) -> None:
        self._write(machine.served(endpoint))

    def _write(self, data: Mapping[str, object]) -> None:
        sys.stdout.write(json.dumps(data, ensure_ascii=True) + "\n")
        sys.stdout.flush()


VIEWS: Mapping[str, Callable[[], View]] = {"live": Live, "plain": Plain, "json": Json}
