"""What the server tells of a run, look by look, as the events that happened in between; no event is told twice.

What the server passes over in silence, a task that never began, is told as the local runner would tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from orchestrator.ir.spec import COMPLETED, Component, Dag, PipelineSpec, Task
from orchestrator.runners.events import Event, Status, TaskFinished, TaskId, TaskRetried, TaskStarted
from orchestrator.runners.kfp.seen import Seen, SeenRun
from orchestrator.runners.local import graph, inputs
from orchestrator.runners.local.graph import Segments
from orchestrator.stores.artifacts import NOTHING, Values

_SILENT = "the server did not run it"
Why = Callable[[TaskId, Seen], str]
"""Asked why a task failed, where the server does not say."""


@dataclass(slots=True)
class _Outcome:
    """What a task, a group or a loop came to; no status while it is open."""

    status: Status | None = None
    outputs: Values | None = None
    failure: tuple[TaskId, str] | None = None


@dataclass(slots=True)
class Progress:
    """What has been told of a run so far."""

    pipeline: PipelineSpec
    why: Why
    told: Collection[str] = ()
    """Paths of the tasks of which it is known already that they went well."""
    attempts: dict[str, int] = field(default_factory=dict)
    """The attempt of each task that was told last."""
    outcomes: dict[str, _Outcome] = field(default_factory=dict)
    """Of the tasks that have ended."""
    root: _Outcome = field(default_factory=_Outcome)
    _events: list[Event] = field(default_factory=list)

    def events(self, run: SeenRun, now: float) -> list[Event]:
        """What happened since the last look, oldest first."""
        self._events.clear()
        look = _Look(self, run, now)
        if self.pipeline.root.dag:
            self.root = look.group((), self.pipeline.root.dag)
        return sorted(self._events, key=lambda event: event.at)

    def tell(self, event: Event) -> None:
        """Keep an event for the next to ask."""
        self._events.append(event)


@dataclass(slots=True)
class _Look:
    progress: Progress
    run: SeenRun
    now: float

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.run.status.final

    def group(self, around: Segments, dag: Dag) -> _Outcome:
        """Look at the tasks of a DAG, producers first."""
        found: dict[str, _Outcome] = {}
        for name in graph.order(dag):
            task = dag.tasks[name]
            segments = (*around, graph.segment(name, task, graph.component_of(self.progress.pipeline, task)))
            before = {key: found[key] for key in graph.upstream(task)}
            called = {self._called(dag, key, around, each): each for key, each in before.items()}
            found[name] = self.task(segments, task, called)
        made = {name: each.outputs for name, each in found.items() if each.outputs is not None}
        return _together(found, inputs.dag_outputs(dag, made))

    def task(self, segments: Segments, task: Task, before: Mapping[str, _Outcome]) -> _Outcome:
        """Look at a task, a group or a loop."""
        component = graph.component_of(self.progress.pipeline, task)
        path = graph.identity(segments).path
        seen = self.run.tasks.get(path)
        if not is_loop(task) and component.dag is None:
            if seen and seen.status is not Status.PENDING:
                return self.leaf(segments, task, seen)
        elif seen and seen.status is Status.FAILED and not self._has_inside(path):
            return self.pass_over(segments, component, task, Status.FAILED, seen.reason or self._why(segments, seen))
        elif self._has_inside(path) or (seen and seen.status in (Status.RUNNING, Status.SUCCEEDED)):
            if is_loop(task):
                return self.loop(segments, task, component, seen)
            return self.group(segments, component.dag) if component.dag else _Outcome()
        if seen and seen.status is Status.NOT_TRIGGERED:
            return self.pass_over(segments, component, task, Status.NOT_TRIGGERED, "its condition is false")
        return self.unseen(segments, component, task, before)

    def unseen(self, segments: Segments, component: Component, task: Task, before: Mapping[str, _Outcome]) -> _Outcome:
        """A task the server has not begun: does what comes before it say that it never will?"""
        statuses = {name: each.status for name, each in before.items() if each.status is not None}
        if len(statuses) < len(before) and not self.over:
            return _Outcome()
        status, reason = graph.decide(task, statuses)
        if status is not Status.PENDING:
            if self.run.cancelling and status is Status.NOT_TRIGGERED:
                status, reason = Status.CANCELLED, ""
            return self.pass_over(segments, component, task, status, reason)
        if not self.over:
            return _Outcome()
        status, reason = self._silence(task)
        if is_loop(task) and reason == _SILENT and not segments[-1].shown.startswith("["):
            return _Outcome(Status.SUCCEEDED, inputs.collected([], component))  # A loop over nothing.
        return self.pass_over(segments, component, task, status, reason)

    def _silence(self, task: Task) -> tuple[Status, str]:
        """What it means that a task which could have begun did not, now that the run is over."""
        if self.run.cancelling:
            return Status.CANCELLED, ""
        if task.trigger_policy and task.trigger_policy.condition and self.run.status is Status.SUCCEEDED:
            return Status.NOT_TRIGGERED, "its condition is false"
        ends = bool(task.trigger_policy and task.trigger_policy.strategy == COMPLETED)
        if self.run.status is Status.SUCCEEDED or ends:
            return Status.NOT_TRIGGERED, _SILENT
        return Status.CANCELLED, "the run had failed before it began"

    def loop(self, segments: Segments, task: Task, component: Component, seen: Seen | None) -> _Outcome:
        """Look at the iterations of a loop, as many as there are."""
        path = graph.identity(segments).path
        found: dict[str, _Outcome] = {}
        for number in sorted(self._numbers(path)):
            inside = (*segments, graph.iteration(number))
            each = self.run.tasks.get(f"{path}/{number}")
            if component.dag:
                found[str(number)] = self.group(inside, component.dag)
            elif each and each.status is not Status.PENDING:
                found[str(number)] = self.leaf(inside, task, each)
            else:
                found[str(number)] = self.unseen(inside, component, task, {}) if self.over else _Outcome()
        outcome = _together(found, inputs.collected([each.outputs for each in found.values()], component))
        if not self.over and not (seen and seen.status.final):
            outcome.status = None
        return outcome

    def leaf(self, segments: Segments, task: Task, seen: Seen) -> _Outcome:
        """Look at a task that has begun: it is told that it began, began again, and ended."""
        identity = graph.identity(segments)
        if identity.path in self.progress.outcomes:
            return self.progress.outcomes[identity.path]
        if identity.path in self.progress.told and seen.status.good:
            self.progress.outcomes[identity.path] = outcome = _Outcome(seen.status, seen.outputs)
            return outcome
        if seen.status not in (Status.SKIPPED, Status.NOT_TRIGGERED) and not seen.of_driver:
            self._tell_attempts(identity, seen)
        status, reason = seen.status, seen.reason
        if not status.final and self.over:
            status = Status.CANCELLED
        if status is Status.FAILED and self.run.cancelling:
            status, reason = Status.CANCELLED, ""
        if not status.final:
            return _Outcome()
        if status is Status.FAILED and not reason:
            reason = self.progress.why(identity, seen)
        if status is Status.NOT_TRIGGERED:
            reason = reason or "its condition is false"
        outcome = _Outcome(status, seen.outputs, (identity, reason) if status is Status.FAILED else None)
        self._finish(identity, task, outcome, reason, seen)
        return outcome

    def pass_over(self, segments: Segments, component: Component, task: Task, status: Status, reason: str) -> _Outcome:
        """A task that does not begin: everything inside it shares its status."""
        inside = [segments] if component.dag is None else graph.leaves(self.progress.pipeline, segments, component.dag)
        outcome = _Outcome(status)
        for each in inside:
            identity = graph.identity(each)
            failure = (identity, reason) if status is Status.FAILED else None
            outcome.failure = outcome.failure or failure
            if identity.path not in self.progress.outcomes:
                self._finish(identity, task, _Outcome(status, failure=failure), reason, Seen(status))
        return outcome

    def _tell_attempts(self, identity: TaskId, seen: Seen) -> None:
        told = self.progress.attempts.get(identity.path, 0)
        if not seen.attempts and not told:
            self.progress.tell(TaskStarted(identity, seen.started or self.now, inputs=seen.inputs))
            self.progress.attempts[identity.path] = 1
        for each in seen.attempts[max(0, told - 1) :]:
            if each.number > told:
                at = each.started or seen.started or self.now
                self.progress.tell(TaskStarted(identity, at, inputs=seen.inputs, attempt=each.number))
                self.progress.attempts[identity.path] = each.number
            if each.failed and each.number < len(seen.attempts):
                after = seen.attempts[each.number]
                if after.number > told:
                    pause = max(0.0, after.started - each.ended)
                    why = "the attempt failed"
                    self.progress.tell(TaskRetried(identity, each.number, why, pause, each.ended or self.now))

    def _finish(self, identity: TaskId, task: Task, outcome: _Outcome, reason: str, seen: Seen) -> None:
        self.progress.outcomes[identity.path] = outcome
        self.progress.tell(
            TaskFinished(
                identity,
                outcome.status or Status.CANCELLED,
                seen.ended or self.now,
                started=seen.started,
                reason=reason,
                inputs=seen.inputs,
                outputs=outcome.outputs or NOTHING,
                component=task.component_ref.name.removeprefix("comp-"),
            )
        )

    def _why(self, segments: Segments, seen: Seen) -> str:
        return self.progress.why(graph.identity(segments), seen)

    def _has_inside(self, path: str) -> bool:
        return any(each.startswith(f"{path}/") for each in self.run.tasks)

    def _numbers(self, path: str) -> set[int]:
        rests = (each[len(path) + 1 :] for each in self.run.tasks if each.startswith(f"{path}/"))
        return {int(number) for rest in rests if (number := rest.partition("/")[0]).isdigit()}

    def _called(self, dag: Dag, key: str, around: Segments, outcome: _Outcome) -> str:
        """The name a reason gives a task before: its own, or of a group, of what failed or is inside."""
        if outcome.failure:
            return outcome.failure[0].name
        task = dag.tasks[key]
        component = graph.component_of(self.progress.pipeline, task)
        segments = (*around, graph.segment(key, task, component))
        if segments[-1].shown:
            return graph.identity(segments).name
        inside = graph.leaves(self.progress.pipeline, segments, component.dag) if component.dag else iter(())
        first = next(iter(inside), None)
        return graph.identity(first).name if first else key


def is_loop(task: Task) -> bool:
    """Whether a task stands for several."""
    return bool(task.parameter_iterator or task.artifact_iterator)


def _together(found: Mapping[str, _Outcome], outputs: Values) -> _Outcome:
    """What several came to together, as the local runner closes a group."""
    statuses = [each.status for each in found.values()]
    failure = next((each.failure for each in found.values() if each.failure), None)
    if None in statuses:
        return _Outcome(None, None, failure)
    if any(status in (Status.FAILED, Status.UNSCHEDULABLE) for status in statuses):
        return _Outcome(Status.FAILED, outputs, failure)
    return _Outcome(Status.CANCELLED if Status.CANCELLED in statuses else Status.SUCCEEDED, outputs, failure)
