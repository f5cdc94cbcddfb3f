"""Executors at work: outputs from before, imports, processes; what they came to goes back to the schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from orchestrator import ir
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.ir.spec import Container, Executor, Importer
from orchestrator.runners.events import Event, Status, TaskFinished, TaskRetried, TaskStarted
from orchestrator.runners.local import cache, importer, lacking, launch, outputs, task_config, workspace
from orchestrator.runners.local.launch import Spot
from orchestrator.runners.local.pods import Pods
from orchestrator.runners.local.pool import Pool
from orchestrator.runners.local.progress import Lines
from orchestrator.runners.local.running import Running, backoff
from orchestrator.runners.local.starting import Starter
from orchestrator.runners.local.watch import Watch
from orchestrator.runners.local.work import Done, Work
from orchestrator.stores.artifacts import Artifact, ArtifactStore, Values
from orchestrator.stores.metadata import CacheEntry

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


class Execution:
    """Everything of a run that is more than bookkeeping: cache, imports and processes."""

    def __init__(
        self,
        request: Request,
        cached: Callable[[str], CacheEntry | None],
        watch: Watch,
        clock: Callable[[], float],
        names: Mapping[str, str],
        *,
        tell: Callable[[Event], None],
        end: Callable[[Work, Status, str], None],
        reopen: Callable[[Work], None],
    ) -> None:
        self.request = request
        self.cached = cached
        self.clock = clock
        self.names = names
        self.tell = tell
        self.end = end
        self.reopen = reopen
        self.store = ArtifactStore(request.settings.state / "artifacts")
        self.workspace = workspace.of(request.platform, request.settings.state, request.run)
        self.pool = Pool(request.settings.workers, clock, tell)
        self.starter = Starter(request, watch)
        self.environment = self.starter.environment(names)
        self.pods = Pods(request, names)
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
                self._finish(work, Status.CANCELLED, reason)
            else:
                self.end(work, Status.CANCELLED, reason)

    def execute(self, work: Work) -> None:
        """Give a task its outputs from before, or put it in line for a process."""
        work.started = self.clock()
        if not self.request.selection.runs(work.id.path):
            self._keep(work)
            return
        executor = self._executor(work)
        if executor.container and task_config.parameters(work.component):
            try:
                work.given = self.pods.told(work, executor.container)
            except RunError as error:
                self._finish(work, Status.FAILED, error.message)
                return
        before = self.request.finished.get(work.id.path)
        # What ends a run is told what became of it: its cache key, below, knows whether that is the same as before.
        if before and not work.ends and before.holds(work.given) and self._reuse(work, before):
            return
        try:
            if executor.importer:
                self._import(work, executor.importer)
            elif executor.container is None:
                raise RunError("its executor is neither a container nor an importer, and runs only on Vertex AI")
            elif self.pods.is_claim(executor.container):
                self._claim(work, executor.container)
            else:
                self._enqueue(work, self.starter.known(executor, work.given), self.starter.code(executor.container))
        except OrchestratorError as error:
            self._finish(work, Status.FAILED, error.message)

    def _enqueue(self, work: Work, executor: Executor, code: Mapping[str, str]) -> None:
        siblings = work.parent.children if work.parent else {}
        replaced = {
            name: [self.request.settings.final_status, *siblings[source.task_final_status.producer_task].fingerprint()]
            for name, source in work.task.inputs.parameters.items()
            if source.task_final_status and source.task_final_status.producer_task in siblings
        }
        replaced |= cache.pointed(work.given, self.request.pointer)
        pod = self.pods.identity(work)
        found = cache.key(work.task, work.component, executor, work.given, code=code, replaced=replaced, pod=pod)
        work.cache_key, work.key_parts = found.text, found.parts
        before = self.request.finished.get(work.id.path)
        if before and before.cache_key and before.cache_key == work.cache_key and self._reuse(work, before):
            return
        if not self._from_earlier(work) and not self._from_cache(work):
            self.pool.add(work)

    def _claim(self, work: Work, container: Container) -> None:
        """Make or delete a persistent volume claim: a task without a program, and never from the cache."""
        name, odd = self.pods.claim(work, container)
        work.outputs = Values(dict.fromkeys(work.component.output_definitions.parameters, name))
        self._finish(work, Status.SUCCEEDED, warnings=(odd,) if odd else ())

    def _reuse(self, work: Work, before: Done) -> bool:
        if not all(map(self._intact, before.outputs.artifacts.values())):
            return False
        work.outputs, work.cache_key = before.outputs, before.cache_key
        self.end(work, Status.SUCCEEDED, "")
        return True

    def _keep(self, work: Work) -> None:
        """A task that was not selected: what it gave in an earlier run stands for it, where that is needed."""
        kept = self.request.selection.taken.get(work.id.path)
        if kept is None:
            self._finish(work, Status.NOT_TRIGGERED, "not selected")
            return
        work.given, work.cache_key, work.key_parts = kept.inputs, kept.cache_key, kept.key_parts
        if not self._take(work, kept):
            self._finish(work, Status.FAILED, f"what {kept.origin} gave was changed or removed")

    def _from_earlier(self, work: Work) -> bool:
        before = self.request.earlier.same(work.id.path, work.cache_key, work.key_parts)
        return before is not None and self._take(work, before)

    def _take(self, work: Work, before: Done) -> bool:
        """What a task of another run gave stands for this one, if it is still there."""
        if not all(map(self._intact, before.outputs.artifacts.values())):
            return False
        work.outputs = before.outputs
        self._finish(work, Status.SKIPPED, cached_from=before.origin)
        return True

    def _from_cache(self, work: Work) -> bool:
        chosen = self.request.selection.paths is not None
        work.missed = "a task that is chosen runs anew" if chosen else ""
        work.missed = work.missed if self.request.use_cache else "the cache was off: --no-cache"
        entry = self.cached(work.cache_key) if work.cache_key and not work.missed else None
        if entry is None:
            return False
        ttl = cache.seconds(self._platform(work)[1].cache_ttl)
        work.missed = cache.refusal(entry, ttl, self.clock(), self.store.intact)
        if work.missed:
            return False
        work.outputs = entry.outputs
        self._finish(work, Status.SKIPPED, cached_from=f"{entry.run}/{entry.path}")
        return True

    def _import(self, work: Work, spec: Importer) -> None:
        names, base = work.names(self.names), self.request.base
        plan = importer.plan(spec, work.component, work.given, names=names, base=base, workspace=self.workspace)
        found = cache.importer(plan.uri, plan.type, plan.about)
        work.cache_key, work.key_parts = found.text, found.parts
        # A remote object may have changed behind its name, so only local files are taken from before.
        if plan.is_local and not spec.reimport and (self._from_earlier(work) or self._from_cache(work)):
            return
        if not plan.is_local or spec.reimport:
            work.missed = "it is imported anew each time: " + (
                "reimport" if spec.reimport else "it may have changed there"
            )
        made = (plan.make(self.store),)
        work.outputs = Values(artifacts=dict.fromkeys(work.component.output_definitions.artifacts, made))
        self._finish(work, Status.SUCCEEDED)

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
            kubernetes = self._platform(work)[0]
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
            handle = self.starter.start(self.workspace.mounted(self.pods.fitted(prepared, pod)))
        except (RunError, OSError, ValueError) as error:  # ValueError: an argument holds a zero byte.
            self.pods.forget(at)
            self._finish(work, Status.FAILED, launch.refusal(error))
            return
        now = self.clock()
        limit = kubernetes.active_deadline_seconds
        work.status = Status.RUNNING
        self.pool.run(Running(work, handle, at, Lines(at.log), now, float(limit) if limit else None))
        self.tell(TaskStarted(work.id, now, work.given, str(at.log), work.attempt))

    def _verify(self, work: Work) -> None:
        """Refuse inputs that are not what they were when their digest was taken."""
        for name, listed in work.given.artifacts.items():
            if not self._intact(listed):
                raise RunError(f"its input {name!r} was changed or removed while the run went on: {listed[0].path}")

    def reap(self) -> None:
        """Take in the programs that ended; stop those whose time is over."""
        for running, code in self.pool.ended():
            self._ended(running, code)

    def _ended(self, running: Running, code: int) -> None:
        work, at = running.work, running.spot
        self.pods.forget(at)
        if running.stopped:
            status, reason = running.stopped
        elif code == 0:
            try:
                work.outputs = outputs.collect(work.component, at.places, self.store)
                warnings = self._warnings(at)
                found = self.starter.settled(self._executor(work), work.given, work.key_parts)
                work.cache_key, work.key_parts = found or (work.cache_key, work.key_parts)
                at.clean()
            except (OrchestratorError, OSError) as error:
                status, reason = Status.FAILED, str(error)
            else:
                self._finish(work, Status.SUCCEEDED, log=str(at.log), warnings=warnings)
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
        self._finish(work, status, reason, log=str(at.log), kept=kept, warnings=self._warnings(at))

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

    def _finish(
        self,
        work: Work,
        status: Status,
        reason: str = "",
        *,
        cached_from: str = "",
        log: str = "",
        kept: Values | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.tell(
            TaskFinished(
                work.id,
                status,
                self.clock(),
                started=work.started,
                reason=reason,
                inputs=work.given,
                outputs=work.outputs or kept or Values(),
                cache_key=work.cache_key,
                key_parts=work.key_parts,
                missed=work.missed,
                cached_from=cached_from,
                log=log,
                component=work.component_name,
                warnings=warnings,
            )
        )
        self.end(work, status, reason)

    def _intact(self, listed: tuple[Artifact, ...]) -> bool:
        return all(self.store.intact(artifact) for artifact in listed)

    def _executor(self, work: Work) -> Executor:
        executors = self.request.pipeline.deployment_spec.executors
        return executors.get(work.component.executor_label, Executor())

    def _platform(self, work: Work) -> tuple[ir.platform.KubernetesExecutor, ir.platform.OrchestratorExecutor]:
        return launch.platform_of(self.request.platform, work.component.executor_label)
