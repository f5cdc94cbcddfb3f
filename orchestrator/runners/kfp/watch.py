"""A run watched to its end: looked at in growing pauses, and soon again when something happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.errors import BackendError
from orchestrator.runners.events import Event, RunFinished, Status, TaskId, Warned
from orchestrator.runners.kfp import about, cause, gate, paths
from orchestrator.runners.kfp.client import Client, UnansweredError
from orchestrator.runners.kfp.look import Eye
from orchestrator.runners.kfp.progress import Progress
from orchestrator.runners.kfp.seen import Seen, SeenRun
from orchestrator.stores.artifacts import NOTHING

if TYPE_CHECKING:
    from orchestrator.runners.kfp.runner import Request

SHORTEST, LONGEST = 0.5, 5.0
PATIENCE = 600.0
"""Seconds the server may be gone while a run goes on."""
_WAITS = 300.0
"""Seconds after which a task that has no pod is spoken of."""
_ONCE = (
    "; it was not tried again: templateDefaults in the ConfigMap workflow-controller-configmap "
    "allow that for lost pods only"
)
_SETTLES, _BEGINS = 10, 60
"""Looks in which a run that has ended, or was begun again, is waited for to tell the same of its tasks."""
_QUESTIONS = 20
"""Failures of a run of which the workflow engine is asked: each answer is of the whole run."""


@dataclass(slots=True)
class Watch:
    """The watching of one run."""

    request: Request
    client: Client
    identity: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    _told: set[str] = field(default_factory=set)
    """What has been warned of."""
    _checked: float = 0
    _gone: float = 0
    """Since when the server has not answered."""
    _asked: int = 0
    """How often the workflow engine was asked."""

    def events(self) -> Iterator[Event]:
        """What happens until the run has ended."""
        request = self.request
        eye = Eye(self.client, request.pipeline, request.platform)
        progress = Progress(request.pipeline, self._why, request.told)
        pause, cancelled, settling = SHORTEST, False, 0
        while True:
            try:
                run = eye.look(self.identity)
                self._gone = 0
            except UnansweredError as error:
                yield from self._patient(error)
                self.sleep(LONGEST)
                continue
            if _lags(run) and settling < (_SETTLES if run.status.final else _BEGINS):
                settling += 1
                self.sleep(1)
                continue
            cancelled = cancelled or run.cancelling or request.cancelled()
            happened = progress.events(_cancelled(run, cancelled=cancelled), self.clock())
            yield from happened
            if run.status.final:
                yield from self._finished(run, progress, cancelled=cancelled)
                return
            yield from self._troubles(run)
            pause = SHORTEST if happened else min(pause * 1.5, LONGEST)
            self.sleep(pause)

    def _patient(self, error: UnansweredError) -> Iterator[Event]:
        """The run goes on without us: what was asked is asked again for some minutes."""
        now = self.clock()
        if not self._gone:
            self._gone = now
            yield Warned(f"{error.message}; the run goes on, and is looked for again", now)
        elif now - self._gone > PATIENCE:
            raise error

    def _finished(self, run: SeenRun, progress: Progress, *, cancelled: bool) -> Iterator[Event]:
        status, reason = run.status, ""
        at = run.ended or self.clock()
        if status is Status.FAILED and cancelled:
            status = Status.CANCELLED
        if status is Status.FAILED:
            failure = progress.root.failure
            reason = f"{failure[0].name}: {failure[1]}" if failure else run.reason or self._unbegun(run)
        if status is Status.SUCCEEDED:
            root = run.pipeline_root or self.request.pipeline_root
            found = gate.verdicts(run, self.request.pipeline, root, self.request.pods.logs)
            status, reason = gate.outcome(found)
            for each in found:
                if not each.decision:
                    yield Warned(
                        f"{self._name(each.task)}: what the gate decided is not known here; its log says it", at
                    )
        yield RunFinished(self.request.run, status, at, reason, progress.root.outputs or NOTHING)

    def _unbegun(self, run: SeenRun) -> str:
        """Why a run failed of which no task began."""
        root = run.tasks.get("")
        return self._why(None, root) if root and root.of_driver else ""

    def _troubles(self, run: SeenRun) -> Iterator[Event]:
        """Pods that do not get on, which KFP's server does not speak of: their runs would go on for ever."""
        now = self.clock()
        if now - self._checked < self.request.stuck:
            return
        self._checked = now
        for pod, told in self._said(run.id).items():
            reason = cause.of_pod(told)
            task = next((path for path, seen in run.tasks.items() if is_of(pod, seen)), "")
            if task and run.tasks[task].status.final:
                continue  # It has failed, and that was told.
            # One missing image or full node keeps many pods: it is said once.
            if reason and (key := reason.replace(pod, "")) not in self._told:
                self._told.add(key)
                yield Warned(f"{self._name(task) or pod} does not get on: {reason}", now)
        for path, seen in run.tasks.items():
            if path and seen.status is Status.PENDING and 0 < seen.started < now - _WAITS and path not in self._told:
                self._told.add(path)
                hint = f"kubectl get pods -l pipeline/runid={run.id}"
                yield Warned(
                    f"{self._name(path)} has waited {(now - seen.started) / 60:.0f} min for its pod; {hint}", now
                )

    def _name(self, path: str) -> str:
        """What a person calls a task."""
        found = paths.follow(self.request.pipeline, path.split("/")) if path else None
        return found[0].name if found else path

    def _said(self, run: str) -> dict[str, str]:
        try:
            return dict(self.request.pods.troubles(run))
        except BackendError:
            return {}

    def _why(self, _task: TaskId | None, seen: Seen) -> str:
        """Why a task failed: what the cluster says of its pod, else the workflow engine, else the end of its log."""
        whose = "its driver failed: " if seen.of_driver else ""
        found = self._pod_says(seen)
        if found:
            return whose + found + (_ONCE if _is_retried(seen) and len(seen.attempts) == 1 else "")
        pod = f"; see the log of the pod {seen.pods[-1]}" if seen.pods else ""
        return f"{whose}the server does not say why{pod}"

    def _pod_says(self, seen: Seen) -> str:
        told = (cause.of_pod(text) for pod, text in self._said(self.identity).items() if is_of(pod, seen))
        return next(filter(None, told), "") or self._engine_says(seen) or self._log_says(seen)

    def _engine_says(self, seen: Seen) -> str:
        if not seen.pods or self._asked >= _QUESTIONS:
            return ""
        self._asked += 1
        try:
            told = about.messages(self.client, self.identity)
        except BackendError:
            self._asked = _QUESTIONS  # A server that does not tell it will not tell it of others.
            return ""
        found = {pod.rpartition("-")[2]: text for pod, text in told.items()}
        return cause.of_message(found.get(seen.pods[-1].rpartition("-")[2], ""))

    def _log_says(self, seen: Seen) -> str:
        for pod in reversed(seen.pods):
            try:
                said = cause.of_log(self.request.pods.logs(pod))
            except BackendError:
                continue
            if said:
                return said
        return ""


def _lags(run: SeenRun) -> bool:
    """Whether what is told of the tasks is older than what is told of the run, which the server writes down first."""
    if run.status.final:
        return not all(each.status.final for each in run.tasks.values())
    root = run.tasks.get("")
    return bool(root and root.status.final)


def _is_retried(seen: Seen) -> bool:
    """Whether the pods are those of a task with a retry policy, by what KFP's server calls them."""
    return any("retry-system-container-impl" in each for each in seen.pods)


def is_of(pod: str, seen: Seen) -> bool:
    """Whether a pod is one of a task's: by its name, or by the number at its end, which is the task's own."""
    return any(pod == each or pod.rpartition("-")[2] == each.rpartition("-")[2] for each in seen.pods)


def _cancelled(run: SeenRun, *, cancelled: bool) -> SeenRun:
    return replace(run, cancelling=cancelled) if cancelled != run.cancelling else run
