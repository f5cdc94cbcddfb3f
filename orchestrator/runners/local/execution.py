"""Executors at work: outputs from before, imports, processes; what they came to goes back to the schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError, RunError
from orchestrator.ir.spec import Container, Executor, Importer
from orchestrator.runners.events import Event, Status, TaskFinished
from orchestrator.runners.local import cache, importer, launch, task_config, workspace
from orchestrator.runners.local.programs import Programs
from orchestrator.runners.local.starting import Starter
from orchestrator.runners.local.watch import Watch
from orchestrator.runners.local.work import Done, Work
from orchestrator.stores.artifacts import ArtifactStore, Values
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
        self.store = ArtifactStore(request.settings.state / "artifacts")
        self.workspace = workspace.of(request.platform, request.settings.state, request.run)
        self.starter = Starter(request, watch)
        self.programs = Programs(
            request,
            self.store,
            self.workspace,
            self.starter,
            clock=clock,
            names=names,
            tell=tell,
            finish=self._finish,
            end=end,
            reopen=reopen,
        )
        self.pods = self.programs.pods

    def execute(self, work: Work) -> None:
        """Give a task its outputs from before, or put it in line for a process."""
        work.started = self.clock()
        if not self.request.selection.runs(work.id.path):
            self._keep(work)
            return
        executor = launch.executor_of(self.request.pipeline, work.component)
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
            self.programs.pool.add(work)

    def _claim(self, work: Work, container: Container) -> None:
        """Make or delete a persistent volume claim: a task without a program, and never from the cache."""
        name, odd = self.pods.claim(work, container)
        work.outputs = Values(dict.fromkeys(work.component.output_definitions.parameters, name))
        self._finish(work, Status.SUCCEEDED, warnings=(odd,) if odd else ())

    def _reuse(self, work: Work, before: Done) -> bool:
        if not all(map(self.store.all_intact, before.outputs.artifacts.values())):
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
        if not all(map(self.store.all_intact, before.outputs.artifacts.values())):
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
        ttl = cache.seconds(launch.platform_of(self.request.platform, work.component.executor_label)[1].cache_ttl)
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
