"""Programs at work: started as there are workers for them, watched, and what they came to taken in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import OrchestratorError, RunError
from orchestrator.ir.spec import Executor
from orchestrator.runners.events import Event, Status, TaskRetried, TaskStarted
from orchestrator.runners.local import lacking, launch, outputs, scratch
from orchestrator.runners.local.launch import Spot
from orchestrator.runners.local.pods import Pods
from orchestrator.runners.local.pool import Pool
from orchestrator.runners.local.progress import Lines
from orchestrator.runners.local.running import Running, backoff
from orchestrator.runners.local.starting import Starter
from orchestrator.runners.local.work import Work
from orchestrator.runners.local.workspace import Workspace
from orchestrator.stores.artifacts import ArtifactStore, Values

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


class Finish(Protocol):
    """Tells that a task has its final status."""

    def __call__(
        self,
        work: Work,
        status: Status,
        reason: str = "",
        *,
        log: str = "",
        kept: Values | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None: ...


class Programs:
    """All programs of a run."""

    def __init__(
        self,
        request: Request,
        store: ArtifactStore,
        workspace: Workspace,
        starter: Starter,
        *,
        clock: Callable[[], float],
        names: Mapping[str, str],
        tell: Callable[[Event], None],
        finish: Finish,
        end: Callable[[Work, Status, str], None],
        reopen: Callable[[Work], None],
    ) -> None:
        self.request = request
        self.store = store
        self.workspace = workspace
        self.starter = starter
        self.clock = clock
        self.names = names
        self.tell = tell
        self.finish = finish
        self.end = end
        self.reopen = reopen
        self.environment = starter.environment(names)
        self.pods = Pods(request, names)
        self.pool = Pool(request.settings.workers, clock, tell)
        self._cancelled = False

    def kill(self) -> None:
        """End every program at once."""
        self.pool.kill()
        self.starter.close()
        self.pods.close()

    def cancel(self, *, at_once: bool, late: str = "") -> None:
        """Stop what runs, gracefully or at once, and drop what waits for a process; `late` says that time is over."""
        self._cancelled = True
        reason = late or "the run was cancelled"
        status = Status.FAILED if late else Status.CANCELLED
        for work in self.pool.cancel(status, reason, at_once=at_once, spares_final=bool(late)):
            if work.is_leaf:
                self.finish(work, Status.CANCELLED, reason)
            else:
                self.end(work, Status.CANCELLED, reason)

    def launch(self) -> None:
        """Start programs for the tasks in line, as many as there are workers."""
        for work in self.pool.woken():
            if work.is_leaf:
                self.pool.add(work)
            else:
                self.reopen(work)
        for work in self.pool.startable():
            self._start(work)

    def _start(self, work: Work) -> None:
        executor = self._executor(work)
        if executor.container is None:
            return
        work.attempt += 1
        at = launch.spot(self.request.settings.state, self.request.run, work.id.path, work.attempt)
        try:
            self._verify(work)
            pod = self.pods.pod(work, at)
            env = {**self.environment, **pod.environment}
            given = self.workspace.seen(work.given)
            kubernetes = launch.platform_of(self.request.platform, work.component.executor_label)[0]
            prepared = launch.prepare(
                executor.container,
                work.component,
                given,
                at,
                names=work.names(self.names),
                env=env,
                kubernetes=kubernetes,
            )
            at.make(work.component)
            pod.volumes.make()
            started = self.workspace.mounted(self.pods.fitted(prepared, pod))
            handle = self.starter.start(started)
        except (RunError, OSError, ValueError) as error:  # ValueError: an argument holds a zero byte.
            self.pods.forget(at)
            scratch.remove(at.scratch)
            self.finish(work, Status.FAILED, launch.refusal(error))
            return
        now = self.clock()
        limit = kubernetes.active_deadline_seconds
        work.status = Status.RUNNING
        self.pool.run(Running(work, handle, at, Lines(at.log), now, float(limit) if limit else None))
        self.tell(TaskStarted(work.id, now, work.given, str(at.log), work.attempt))
        for follower in work.followers:
            expected = self._executor(follower).container
            if follower.is_leaf and expected:
                self.starter.expect(expected, started)

    def _verify(self, work: Work) -> None:
        """Refuse inputs that are not what they were when their digest was taken."""
        for name, listed in work.given.artifacts.items():
            if not self.store.all_intact(listed):
                raise RunError(f"its input {name!r} was changed or removed while the run went on: {listed[0].path}")

    def reap(self) -> None:
        """Take in the programs that ended; stop those whose time is over."""
        for running, code in self.pool.ended():
            self._ended(running, code)
            scratch.remove(running.spot.scratch)

    def _ended(self, running: Running, code: int) -> None:
        work, at = running.work, running.spot
        self.pods.forget(at)
        if running.stopped:
            status, reason = running.stopped
        elif code == 0:
            try:
                work.outputs = outputs.collect(work.component, at.places, self.store)
                warnings = (*outputs.hollow(work.outputs), *self._warnings(at))
                found = self.starter.settled(self._executor(work), work.given, work.key_parts)
                work.cache_key, work.key_parts = found or (work.cache_key, work.key_parts)
                at.clean()
            except (OrchestratorError, OSError) as error:
                status, reason = Status.FAILED, str(error)
            else:
                self.finish(work, Status.SUCCEEDED, log=str(at.log), warnings=warnings)
                return
        else:
            status, reason = Status.FAILED, self._reason(running, code)
        if status is Status.FAILED and self.again(work, reason):
            return
        kept = Values()
        try:
            kept = outputs.salvaged(work.component, at.places, self.store)
        except (OrchestratorError, OSError):
            reason += " (what it had written could not be kept)"
        self.finish(work, status, reason, log=str(at.log), kept=kept, warnings=self._warnings(at))

    def _reason(self, running: Running, code: int) -> str:
        """Why a program failed, and what to do about it where that is plain."""
        told = running.handle.reason() or outputs.reason(code, running.spot.log, starved=running.starved())
        container = self._executor(running.work).container
        words = (*container.command, *container.args) if container else ()
        do = lacking.advice(told, words, () if self.request.containers else self.request.code_paths)
        return self.pods.masked(told) + (f": {do}" if do else "")

    def _warnings(self, at: Spot) -> tuple[str, ...]:
        return tuple(self.pods.masked(each) for each in outputs.warnings(at.log))

    def again(self, work: Work, reason: str) -> bool:
        """Whether a task that failed has another attempt; it then comes after a pause."""
        policy = work.task.retry_policy
        if policy is None or work.attempt > policy.max_retry_count or self._cancelled:
            return False
        delay = backoff(policy, work.attempt)
        self.tell(TaskRetried(work.id, work.attempt, reason, delay, self.clock()))
        self.pool.postpone(work, delay)
        return True

    def _executor(self, work: Work) -> Executor:
        return launch.executor_of(self.request.pipeline, work.component)
