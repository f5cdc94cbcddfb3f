"""Who runs next: opens groups and loops, starts what may start, and takes in what ended."""

from __future__ import annotations

import heapq
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import ir
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.ir.spec import COMPLETED, Executor
from orchestrator.runners.events import Event, Status, TaskFinished, TaskProgress, TaskRetried, TaskStarted
from orchestrator.runners.local import cache, graph, inputs, launch, outputs, process
from orchestrator.runners.local.running import Running
from orchestrator.runners.local.work import Work
from orchestrator.stores.artifacts import ArtifactStore, Values, is_remote
from orchestrator.stores.metadata import CacheEntry

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request

DECISION = "orchestrator.Decision"
"""The artifact type by which a gate says what it decided, in its metadata."""
GRACE = 10.0
"""Seconds a task has to end itself after it was asked to."""
_PROGRESS = 0.25  # Seconds between two looks at the logs of running tasks.


class Schedule:
    """A run in progress. One thread; `events` yields what happens until the root has ended."""

    def __init__(
        self,
        request: Request,
        cached: Callable[[str], CacheEntry | None],
        watch: process.Watch,
        clock: Callable[[], float],
        names: Mapping[str, str],
    ) -> None:
        self.request = request
        self.cached = cached
        self.watch = watch
        self.clock = clock
        self.names = names
        self.store = ArtifactStore(request.settings.state / "artifacts")
        self.environment = launch.environment(request.settings, request.code_paths, names, os.environ)
        self.gates: list[tuple[str, str]] = []
        self._todo: deque[Callable[[], None]] = deque()
        self._events: deque[Event] = deque()
        self._ready: deque[Work] = deque()
        self._running: dict[int, Running] = {}
        self._later: list[tuple[float, int, Work]] = []
        self._count = itertools.count()
        self._cancelling = 0
        self._looked = 0.0

    def events(self, root: Work) -> Iterator[Event]:
        """Everything that happens until the root has ended."""
        self._open(root)
        while True:
            while self._todo:
                self._todo.popleft()()
                # Handed over one by one: what is told is recorded before anything else is done.
                yield from self._told()
            self._launch()
            yield from self._told()
            if self._todo:
                continue
            if root.status.final:
                return
            self.watch.wait(self._pause())
            self._interrupted()
            self._reap()
            self._wake()
            yield from self._told()

    def kill(self) -> None:
        """End every process at once."""
        for running in self._running.values():
            running.process.kill()
            running.process.popen.wait()
            running.process.clear()
        self._running.clear()

    def _told(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    # -- the tree

    def _open(self, group: Work) -> None:
        """Make the tasks of a DAG, and let those begin that wait for nothing."""
        dag = group.component.dag
        group.status = Status.RUNNING
        if dag is None or not dag.tasks:
            self._todo.append(partial(self._close, group))
            return
        for name in graph.order(dag):
            task = dag.tasks[name]
            component = graph.component_of(self.request.pipeline, task)
            segments = (*group.segments, graph.segment(name, task, component))
            group.children[name] = Work(segments, task, component, group, waiting=set(graph.upstream(task)))
        group.unfinished = len(group.children)
        for child in group.children.values():
            for name in child.waiting:
                group.children[name].followers.append(child)
        for child in group.children.values():
            if not child.waiting:
                self._todo.append(partial(self._decide, child))

    def _decide(self, work: Work) -> None:
        """The upstream tasks of a task have ended: let it begin, or say why it does not."""
        siblings = work.parent.children if work.parent else {}
        statuses = {name: siblings[name].status for name in graph.upstream(work.task)}
        status, reason = graph.decide(work.task, statuses)
        always = bool(work.task.trigger_policy and work.task.trigger_policy.strategy == COMPLETED)
        if self._cancelling and not (always and self._cancelling == 1):
            status, reason = Status.CANCELLED, ""
        if status is not Status.PENDING:
            self._pass_over(work, status, reason)
            return
        try:
            work.given = inputs.resolve(work.task, work.component, work.around(self.names, self.request.run))
            condition = work.task.trigger_policy.condition if work.task.trigger_policy else ""
            if condition and not inputs.conditional(condition, work.given):
                self._pass_over(work, Status.NOT_TRIGGERED, "its condition is false")
                return
            if work.is_loop:
                work.items = inputs.items(work.task, work.given)
        except inputs.MissingInputError as missing:
            status = Status.FAILED if always else Status.NOT_TRIGGERED
            self._pass_over(work, status, f"nothing was produced for its input {str(missing)!r}")
            return
        except RunError as error:
            self._pass_over(work, Status.FAILED, error.message)
            return
        self._begin(work)

    def _begin(self, work: Work) -> None:
        if work.is_loop:
            work.status = Status.RUNNING
            self._iterate(work)
        elif work.component.dag is not None:
            self._open(work)
        else:
            self._execute(work)

    def _iterate(self, loop: Work) -> None:
        """Begin as many iterations as may run at once."""
        if loop.status.final:
            return
        while (
            loop.begun < len(loop.items) and (not loop.limit or loop.unfinished < loop.limit) and not self._cancelling
        ):
            number = loop.begun
            loop.begun += 1
            loop.unfinished += 1
            given = inputs.with_item(loop.task, loop.given, loop.items[number])
            each = Work((*loop.segments, graph.iteration(number)), loop.task, loop.component, loop, given=given)
            each.is_iteration = True
            loop.children[str(number)] = each
            self._todo.append(partial(self._begin, each))
        if not loop.unfinished:
            self._close(loop)

    def _close(self, work: Work) -> None:
        """All tasks of a group, or all iterations of a loop, have ended."""
        statuses = [child.status for child in work.children.values()]
        if any(status in (Status.FAILED, Status.UNSCHEDULABLE) for status in statuses):
            status = Status.FAILED
        elif Status.CANCELLED in statuses or (self._cancelling and work.begun < len(work.items)):
            status = Status.CANCELLED
        else:
            status = Status.SUCCEEDED
        made = {key: child.outputs for key, child in work.children.items() if child.outputs is not None}
        if work.is_loop:
            work.outputs = inputs.collected([made.get(key) for key in work.children], work.component)
        elif work.component.dag is not None:
            work.outputs = inputs.dag_outputs(work.component.dag, made)
        work.failure = next((child.failure for child in work.children.values() if child.failure), None)
        self._end(work, status, work.failure[1] if work.failure else "")

    def _end(self, work: Work, status: Status, reason: str = "") -> None:
        """A node of the tree has its final status: those who waited for it go on."""
        work.status, work.reason = status, reason
        if status is Status.FAILED and work.failure is None:
            work.failure = (work.id, reason)
        for follower in work.followers:
            follower.waiting.discard(work.key)
            if not follower.waiting:
                self._todo.append(partial(self._decide, follower))
        parent = work.parent
        if parent is None:
            return
        parent.unfinished -= 1
        if work.is_iteration:
            self._todo.append(partial(self._iterate, parent))
        elif not parent.unfinished:
            self._todo.append(partial(self._close, parent))

    def _pass_over(self, work: Work, status: Status, reason: str) -> None:
        """A task that does not begin: everything inside it shares its status."""
        at = self.clock()
        for task in work.executors(self.request.pipeline):
            self._events.append(TaskFinished(task, status, at, reason=reason, component=_component(work)))
            if status is Status.FAILED and work.failure is None:
                work.failure = (task, reason)
        self._end(work, status, reason)

    # -- executors

    def _execute(self, work: Work) -> None:
        """Give a task its outputs from before, or put it in line for a process."""
        work.started = self.clock()
        before = self.request.finished.get(work.id.path)
        always = work.task.trigger_policy and work.task.trigger_policy.strategy == COMPLETED
        if before is not None and not always and all(map(self._intact, before.artifacts.values())):
            work.outputs = before
            self._note_gate(work)
            self._end(work, Status.SUCCEEDED)
            return
        executor = self._executor(work)
        if executor.importer:
            self._import(work, executor)
            return
        if executor.container is None:
            self._fail(work, "its executor is neither a container nor an importer, and runs only on Vertex AI")
            return
        code = cache.code_digest(executor.container, self.request.code_paths)
        siblings = work.parent.children if work.parent else {}
        replaced = {
            name: siblings[source.task_final_status.producer_task].fingerprint()
            for name, source in work.task.inputs.parameters.items()
            if source.task_final_status and source.task_final_status.producer_task in siblings
        }
        work.cache_key = cache.key(work.task, work.component, executor, work.given, code=code, replaced=replaced)
        if not self._from_cache(work):
            self._ready.append(work)

    def _from_cache(self, work: Work) -> bool:
        entry = self.cached(work.cache_key) if work.cache_key and self.request.use_cache else None
        if entry is None or not all(map(self._intact, entry.outputs.artifacts.values())):
            return False
        ttl = cache.seconds(self._platform(work)[1].cache_ttl)
        if ttl and self.clock() - entry.created > ttl:
            return False
        work.outputs = entry.outputs
        self._finish(work, Status.SKIPPED, cached_from=f"{entry.run}/{entry.path}")
        return True

    def _import(self, work: Work, executor: Executor) -> None:
        importer = executor.importer
        if importer is None:
            return
        try:
            uri = importer.artifact_uri.constant
            if importer.artifact_uri.runtime_parameter:
                uri = work.given.parameters.get(importer.artifact_uri.runtime_parameter)
            if not isinstance(uri, str) or not uri:
                raise RunError("it was given no URI")
            located = (
                uri if is_remote(uri) or uri.startswith("file:") else str(self.request.base / Path(uri).expanduser())
            )
            title = importer.type_schema.schema_title
            work.cache_key = ir.digest({"importer": located, "type": title, "metadata": dict(importer.metadata)})
            # A remote object may have changed behind its name, so only local files are taken from before.
            if not is_remote(located) and not importer.reimport and self._from_cache(work):
                return
            artifact = self.store.adopt(located, type=title, metadata=importer.metadata)
        except OrchestratorError as error:
            self._fail(work, error.message)
            return
        work.outputs = Values(artifacts=dict.fromkeys(work.component.output_definitions.artifacts, (artifact,)))
        self._finish(work, Status.SUCCEEDED)

    def _launch(self) -> None:
        """Start processes for the tasks in line, as many as there are workers."""
        while self._ready and len(self._running) < self.request.settings.workers and not self._cancelling > 1:
            self._start(self._ready.popleft())

    def _start(self, work: Work) -> None:
        executor = self._executor(work)
        if executor.container is None:
            return
        work.attempt += 1
        at = launch.spot(self.request.settings.state, self.request.run, work.id.path, work.attempt)
        names = {**self.names, "pipeline_task_name": work.id.name, "pipeline_task_uuid": work.id.path}
        try:
            prepared = launch.prepare(
                executor.container, work.component, work.given, at, names=names, env=self.environment
            )
            at.make(work.component)
            started = process.start(
                prepared.command,
                folder=prepared.folder,
                environment=prepared.environment,
                log=prepared.log,
                token=work.id.path,
            )
        except (RunError, OSError) as error:
            reason = error.message if isinstance(error, RunError) else f"it cannot be started: {error}"
            self._fail(work, reason)
            return
        now = self.clock()
        limit = self._platform(work)[0].active_deadline_seconds
        work.status = Status.RUNNING
        self._running[started.pid] = Running(work, started, at, deadline=now + float(limit) if limit else None)
        self._events.append(TaskStarted(work.id, now, work.given, str(at.log), work.attempt, started.pid))

    # -- what happens meanwhile

    def _pause(self) -> float | None:
        """Seconds until something has to be looked at; None when only a process or a person can change anything."""
        now = self.clock()
        times = [running.wakes for running in self._running.values() if running.wakes is not None]
        if self._later:
            times.append(self._later[0][0])
        if self._running:
            times.append(now + _PROGRESS)
        return max(0.0, min(times) - now) if times else None

    def _interrupted(self) -> None:
        if self.watch.interrupts <= self._cancelling:
            return
        self._cancelling = min(self.watch.interrupts, 2)
        now = self.clock()
        for running in self._running.values():
            running.stop(Status.CANCELLED, "the run was cancelled", now, 0 if self._cancelling > 1 else GRACE)
        waiting = [*self._ready, *(work for _, _, work in self._later)]
        self._ready.clear()
        self._later.clear()
        for work in waiting:
            self._finish(work, Status.CANCELLED, "the run was cancelled")

    def _reap(self) -> None:
        """Take in the processes that ended; stop those whose time is over."""
        now = self.clock()
        look = now - self._looked >= _PROGRESS
        self._looked = now if look else self._looked
        for pid, running in list(self._running.items()):
            code = running.process.ended()
            if code is not None:
                del self._running[pid]
                running.process.clear()
                self._ended(running, code)
                continue
            running.enforce(now, GRACE)
            progress = running.process.progress() if look else None
            if progress:
                self._events.append(TaskProgress(running.work.id, *progress, now))

    def _ended(self, running: Running, code: int) -> None:
        work, at = running.work, running.spot
        if running.stopped:
            status, reason = running.stopped
        elif code == 0:
            try:
                work.outputs = outputs.collect(work.component, at.places, self.store)
                warnings = outputs.warnings(at.log)
                at.clean()
            except (OrchestratorError, OSError) as error:
                status, reason = Status.FAILED, str(error)
            else:
                self._finish(work, Status.SUCCEEDED, log=str(at.log), warnings=warnings)
                return
        else:
            status, reason = Status.FAILED, outputs.reason(code, at.log)
        policy = work.task.retry_policy
        if status is Status.FAILED and policy and work.attempt <= policy.max_retry_count and not self._cancelling:
            delay = _backoff(cache.seconds(policy.backoff_duration), policy.backoff_factor, work.attempt)
            delay = min(delay, cache.seconds(policy.backoff_max_duration) or delay)
            now = self.clock()
            self._events.append(TaskRetried(work.id, work.attempt, reason, delay, now))
            heapq.heappush(self._later, (now + delay, next(self._count), work))
            return
        kept = Values()
        try:
            kept = outputs.salvaged(work.component, at.places, self.store)
        except (OrchestratorError, OSError):
            reason += " (what it had written could not be kept)"
        self._finish(work, status, reason, log=str(at.log), kept=kept, warnings=outputs.warnings(at.log))

    def _wake(self) -> None:
        """Put tasks whose pause before another attempt is over in line again."""
        now = self.clock()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

    # -- endings

    def _fail(self, work: Work, reason: str) -> None:
        self._finish(work, Status.FAILED, reason)

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
        self._note_gate(work)
        self._events.append(
            TaskFinished(
                work.id,
                status,
                self.clock(),
                started=work.started,
                reason=reason,
                inputs=work.given,
                outputs=work.outputs or kept or Values(),
                cache_key=work.cache_key,
                cached_from=cached_from,
                log=log,
                component=_component(work),
                warnings=warnings,
            )
        )
        self._end(work, status, reason)

    def _note_gate(self, work: Work) -> None:
        for listed in (work.outputs or Values()).artifacts.values():
            for artifact in listed:
                if artifact.type == DECISION:
                    decided = artifact.metadata
                    self.gates.append((str(decided.get("decision", "")), str(decided.get("reason", ""))))

    def _intact(self, listed: tuple) -> bool:  # type: ignore[type-arg]
        return all(self.store.intact(artifact) for artifact in listed)

    def _executor(self, work: Work) -> Executor:
        executors = self.request.pipeline.deployment_spec.executors
        return executors.get(work.component.executor_label, Executor())

    def _platform(self, work: Work) -> tuple[ir.platform.KubernetesExecutor, ir.platform.OrchestratorExecutor]:
        return launch.platform_of(self.request.platform, work.component.executor_label)


def _component(work: Work) -> str:
    return work.task.component_ref.name.removeprefix("comp-")


def _backoff(base: float, factor: float, attempt: int) -> float:
    """The pause after a failed attempt: `base`, then `factor` times longer each time (KFP's default is 2)."""
    return float(base * (factor or 2.0) ** (attempt - 1))
