"""A run as it is seen while it goes on: a frozen value, and the one function that takes an event into account."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.runners.events import (
    Event,
    RunFinished,
    RunStarted,
    Status,
    TaskFinished,
    TaskId,
    TaskProgress,
    TaskRetried,
    TaskStarted,
    Warned,
)
from orchestrator.stores.artifacts import DECISION, NOTHING, Artifact, Values
from orchestrator.stores.records import LOCAL

if TYPE_CHECKING:
    from orchestrator.stores.metadata import RunRecord, TaskRecord

REPORT = "system.HTML"

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task says it is."""

    done: float
    total: float
    text: str = ""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task at this moment."""

    id: TaskId
    status: Status = Status.PENDING
    started: float | None = None
    finished: float | None = None
    attempt: int = 1
    progress: Progress | None = None
    note: str = ""
    """Why it is in this state, where there is something to say."""
    log: str = ""
    cached_from: str = ""
    outputs: Values = NOTHING
    warnings: tuple[str, ...] = ()

    def artifacts(self, type: str) -> list[Artifact]:
        """The output artifacts of one type."""
        return [each for listed in self.outputs.artifacts.values() for each in listed if each.type == type]


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at this moment; tasks by path, in the order they became known."""

    run: str = ""
    pipeline: str = ""
    file: str = ""
    """What was run, as it was named; empty where it is not to be found from here."""
    status: Status = Status.PENDING
    reason: str = ""
    started: float | None = None
    finished: float | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    outputs: Values = NOTHING
    tasks: Mapping[str, TaskState] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    on: str = LOCAL
    """Where its tasks run."""

    def with_status(self, *statuses: Status) -> list[TaskState]:
        """The tasks in one of these states."""
        return [task for task in self.tasks.values() if task.status in statuses]


@dataclass(frozen=True, slots=True)
class Group:
    """The iterations of one task of a loop, or a task alone."""

    name: str
    tasks: tuple[TaskState, ...]

    @property
    def single(self) -> TaskState | None:
        """The task, when there is only one."""
        return self.tasks[0] if len(self.tasks) == 1 else None


def after(state: RunState, event: Event) -> RunState:
    """The run as it is once this has happened."""
    match event:
        case RunStarted():
            # A resumed run keeps what is known of its tasks: those that finished are not started again.
            known = {task.path: state.tasks.get(task.path, TaskState(task)) for task in event.tasks}
            return replace(
                state,
                run=event.run,
                pipeline=event.pipeline,
                status=Status.RUNNING,
                started=event.at,
                arguments=event.arguments,
                tasks={**state.tasks, **known},
            )
        case Warned(message):
            return replace(state, warnings=(*state.warnings, message))
        case RunFinished():
            changes = {"status": event.status, "reason": event.reason, "outputs": event.outputs, "finished": event.at}
            return replace(state, **{**changes, "run": event.run})  # type: ignore[arg-type]
        case TaskRetried() if event.task.path not in state.tasks:
            return replace(state, tasks={**state.tasks, **_reopened(state, event)})
        case _:
            task = _task_after(state.tasks.get(event.task.path, TaskState(event.task)), event)
            return replace(state, tasks={**state.tasks, event.task.path: task})


def _reopened(state: RunState, event: TaskRetried) -> dict[str, TaskState]:
    """A nested pipeline has another attempt: the tasks inside wait again."""
    note = f"attempt {event.attempt} of {event.task.name} failed: {event.reason}"
    return {
        path: TaskState(task.id, note=note)
        for path, task in state.tasks.items()
        if path.startswith(event.task.path + "/")
    }


def _task_after(task: TaskState, event: TaskStarted | TaskProgress | TaskRetried | TaskFinished) -> TaskState:
    match event:
        case TaskStarted():
            started = task.started if event.attempt > 1 and task.started else event.at
            log = event.log or task.log
            note = task.note if event.attempt > 1 else ""
            return replace(
                task, status=Status.RUNNING, started=started, finished=None, attempt=event.attempt, log=log, note=note
            )
        case TaskProgress():
            return replace(task, progress=Progress(event.done, event.total, event.text))
        case TaskRetried():
            return replace(task, note=f"attempt {event.attempt} failed: {event.reason}", progress=None)
        case TaskFinished():
            return replace(
                task,
                status=event.status,
                started=event.started or task.started,
                finished=event.at,
                progress=None,
                note=_note(event),
                log=event.log or task.log,
                cached_from=event.cached_from,
                outputs=event.outputs,
                warnings=event.warnings,
            )


def _note(event: TaskFinished) -> str:
    if event.reason:
        return event.reason
    decided = [text for _, text in decisions(event.outputs)]
    return decided[0] if decided else ""


def decisions(outputs: Values) -> list[tuple[str, str]]:
    """What the gates among these outputs decided: the decision's word and the sentence that says why."""
    found = []
    for listed in outputs.artifacts.values():
        for artifact in listed:
            if artifact.type != DECISION:
                continue
            word = str(artifact.metadata.get("decision", ""))
            reason = str(artifact.metadata.get("reason", ""))
            said = reason.lower().startswith(word.lower())
            found.append((word, reason if said else f"{word}: {reason}" if reason else word))
    return found


def groups(tasks: Iterable[TaskState]) -> list[Group]:
    """The tasks with the iterations of a loop put together, where the first of them stands."""
    found: dict[str, list[TaskState]] = {}
    for task in tasks:
        found.setdefault(_INDEX.sub("", task.id.name), []).append(task)
    return [_group(name, members) for name, members in found.items()]


def _group(name: str, members: list[TaskState]) -> Group:
    # Before a loop is unrolled its task stands for all iterations; afterwards only they count.
    iterations = [task for task in members if _INDEX.search(task.id.name)]
    shown = iterations or members
    return Group(name if len(shown) > 1 else shown[0].id.name, tuple(shown))


def recorded(run: RunRecord, tasks: Iterable[TaskRecord]) -> RunState:
    """The run as the record has it."""
    return RunState(
        run=run.id,
        pipeline=run.pipeline,
        status=Status(run.status),
        reason=run.reason,
        started=run.started,
        finished=run.finished,
        arguments=run.arguments,
        outputs=run.outputs,
        tasks={task.path: _recorded(task) for task in tasks},
        on=run.on,
    )


def resumed(state: RunState) -> RunState:
    """The run as it begins again: what did not end well waits."""
    again = {path: task if task.status.good else TaskState(task.id) for path, task in state.tasks.items()}
    return replace(state, tasks=again)


def _recorded(task: TaskRecord) -> TaskState:
    decided = [sentence for _, sentence in decisions(task.outputs)]
    return TaskState(
        TaskId(task.path, task.name),
        status=Status(task.status),
        started=task.started,
        finished=task.finished,
        attempt=task.attempt,
        note=task.reason or (decided[0] if decided else ""),
        log=task.log,
        cached_from=task.cached_from,
        outputs=task.outputs,
        warnings=task.warnings,
    )
