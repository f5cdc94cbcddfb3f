"""The plain view: one line with its time for every change of state, for logs and pipes."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.cli import wording
from orchestrator.cli.state import RunState, decisions
from orchestrator.runners.events import (
    Event,
    RunFinished,
    RunStarted,
    Status,
    TaskFinished,
    TaskProgress,
    TaskRetried,
    TaskStarted,
    Warned,
)

BETWEEN = 30.0
"""Seconds of silence after which a task's progress is worth a line."""


def lines(event: Event, state: RunState, *, said: float = 0.0) -> Iterator[str]:
    """What to print for an event; `state` is the run before it, `said` when this task last had a line."""
    at = wording.clock(event.at)
    match event:
        case RunStarted():
            given = wording.parameters(event.arguments)
            verb = "goes on" if state.tasks else "started"
            yield f"{at} run {event.run} of {event.pipeline} {verb}" + (f": {given}" if given else "")
            kept = [str(task.id) for task in state.with_status(Status.SUCCEEDED, Status.SKIPPED)]
            if kept:
                yield f"{at} finished before: {', '.join(kept)}"
        case TaskStarted(attempt=attempt):
            again = f" (attempt {attempt})" if attempt > 1 else ""
            yield f"{at} {event.task}: started{again}"
        case TaskProgress():
            if event.at - said >= BETWEEN:
                far = f"{wording.number(event.done)}/{wording.number(event.total)} {event.text}"
                yield f"{at} {event.task}: {wording.one_line(far)}"
        case TaskRetried():
            reason = wording.one_line(event.reason)
            again = f"tried again in {wording.duration(event.delay)}"
            yield f"{at} {event.task}: attempt {event.attempt} failed: {reason}; {again}"
        case TaskFinished():
            yield f"{at} {event.task}: {_finished(event, state)}"
            yield from (f"{at} {event.task}: warning: {wording.one_line(warning)}" for warning in event.warnings)
        case Warned(message):
            yield f"{at} warning: {wording.one_line(message)}"
        case RunFinished():
            words = wording.look(event.status).words
            took = f" in {wording.duration(event.at - state.started)}" if state.started else ""
            yield f"{at} run {event.run} {words}{took}"


def _finished(event: TaskFinished, state: RunState) -> str:
    known = state.tasks.get(event.task.path)
    started = event.started or (known.started if known else None)
    text = wording.look(event.status).words
    if event.status is Status.SKIPPED and event.cached_from:
        text += f" from run {event.cached_from.partition('/')[0]}"
    elif started and event.status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
        text += f" in {wording.duration(event.at - started)}"
    told = [event.reason] if event.reason else [sentence for _, sentence in decisions(event.outputs)]
    return "; ".join([text, *(wording.one_line(each) for each in told[:1])]) if event.status.good else _why(text, told)


def _why(text: str, told: list[str]) -> str:
    return f"{text}: {wording.one_line(told[0])}" if told else text
