"""Start, resume and cancel a run; every event is recorded before anybody sees it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator import ir, recording
from orchestrator.errors import BackendError, RunError
from orchestrator.runners import arguments, local
from orchestrator.runners.events import Event, Status
from orchestrator.runners.local import scratch, traces
from orchestrator.runners.local.containers import engine
from orchestrator.runners.local.selection import Selection
from orchestrator.runs import again, pinning
from orchestrator.runs import given as arguments_given
from orchestrator.runs.again import Wish
from orchestrator.runs.loaded import load
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import NOTHING
from orchestrator.stores.clearing import Row
from orchestrator.stores.metadata import LAST, Metadata, RunRecord
from orchestrator.stores.records import KFP


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made."""

    cache: bool = True
    run: str = ""
    """The run's id; one is made up when it is empty."""
    workers: int | None = None
    cold: bool = False
    """Start every task from scratch instead of from a warm process."""
    containers: bool = False
    """Run container tasks through Docker or Podman."""
    wish: Wish = field(default_factory=Wish)
    """What to take over from an earlier run, and which tasks to run."""


def start(file: Path, given: Mapping[str, str], settings: Settings, options: Options) -> Iterator[Event]:
    """Run a pipeline file with arguments as text. Raises before the first event when it cannot start."""
    loaded = load(file, given)
    values = arguments_given.values(loaded.pipeline, given)
    if options.wish == Wish():
        arguments.complete(loaded.pipeline, values)  # Before anything is opened, which makes a folder.
    if options.containers:
        engine.find(settings.containers_engine)  # Before anything is recorded.
    pinned = pinning.here(loaded, file) if options.containers else pinning.Pinned(loaded)
    loaded = pinned.loaded
    with contextlib.ExitStack() as stack:
        metadata = stack.enter_context(contextlib.closing(Metadata(settings.state / "state.db")))
        basis = again.basis(metadata, loaded.pipeline, options.wish, settings.state)
        request = local.Request(
            named(options.run, loaded.pipeline.pipeline_info.name),
            loaded.pipeline,
            loaded.platform,
            arguments.complete(loaded.pipeline, {**basis.arguments, **values}),
            _with_workers(settings, options.workers),
            loaded.base,
            loaded.code_paths,
            options.cache,
            cold=options.cold,
            containers=options.containers,
            earlier=basis.earlier,
            selection=basis.selection,
            pointer=_pointer(settings),
            warnings=pinned.warnings,
        )
        stack.pop_all()
        return _recorded(metadata, request, source=str(file), begun=False)


def resume(run: str, settings: Settings, *, workers: int | None = None) -> Iterator[Event]:
    """Go on with a run that failed, was cancelled or was killed: what finished well is not run again."""
    with contextlib.ExitStack() as stack:
        metadata = stack.enter_context(contextlib.closing(Metadata(settings.state / "state.db")))
        record = metadata.run(run)
        if is_alive(record):
            raise RunError(f"the run {record.id} is still going on (process {record.pid})", run=record.id)
        if record.status in (Status.SUCCEEDED, Status.REJECTED):
            hint = f"`orc run FILE --resume {record.id}` starts a new run that takes over what is the same"
            raise RunError(f"the run {record.id} is complete: {record.status.lower()}", run=record.id, hint=hint)
        pipeline, platform = ir.load(record.ir, record.source)
        basis = again.recorded(metadata, record, pipeline, settings.state)
        request = local.Request(
            record.id,
            pipeline,
            platform,
            record.arguments,
            _with_workers(settings, workers),
            Path(record.base),
            tuple(Path(path) for path in record.code_paths),
            bool(record.options.get("cache", True)),
            cold=bool(record.options.get("cold")),
            containers=bool(record.options.get("containers")),
            finished={task.path: again.done(task) for task in metadata.tasks(record.id) if Status(task.status).good},
            earlier=basis.earlier,
            selection=basis.selection,
            pointer=_pointer(settings),
            created=record.started,
        )
        if request.containers:
            engine.find(settings.containers_engine)
        pid = os.getpid()
        if not metadata.restart_run(record, pid=pid, pid_started=traces.identity(pid)):
            raise RunError(f"somebody else has just resumed the run {record.id}", run=record.id)
        _sweep(record, settings)
        scratch.clear(settings.state, record.id)
        stack.pop_all()
        return _recorded(metadata, request, source=record.source, begun=True)


def cancel(run: str, settings: Settings) -> str:
    """Cancel a run from outside; says what was done."""
    with contextlib.closing(Metadata(settings.state / "state.db")) as metadata:
        record = metadata.run(run)
        if is_alive(record):
            os.kill(record.pid, signal.SIGTERM)
            return f"asked {record.id} to stop; its tasks have 10 s to end"
        if record.status != Status.RUNNING:
            return f"{record.id} has already ended: {record.status.lower()}"
        _sweep(record, settings)
        scratch.clear(settings.state, record.id)
        reason = "cancelled after its runner died"
        metadata.finish_run(record.id, status=Status.CANCELLED, reason=reason, outputs=NOTHING, at=time.time())
        return f"{record.id} was no longer running; it is now recorded as cancelled"


def is_alive(record: RunRecord | Row) -> bool:
    """Whether the process that runs it is there."""
    return record.status == Status.RUNNING and bool(record.pid) and traces.identity(record.pid) == record.pid_started


def goes_on(record: RunRecord | Row) -> bool:
    """Whether it may still be at work: one on a cluster is, as far as is known, whether it is watched or not."""
    return is_alive(record) or (record.status == Status.RUNNING and record.on == KFP)


def _recorded(metadata: Metadata, request: local.Request, *, source: str, begun: bool) -> Iterator[Event]:
    about = recording.About(
        request.run,
        ir.compact(request.pipeline, request.platform),
        source,
        str(request.base),
        tuple(str(path) for path in request.code_paths),
        {
            "cache": request.use_cache,
            "workers": request.settings.workers,
            "cold": request.cold,
            "containers": request.containers,
            "earlier": request.earlier.run,
            **_selected(request.selection),
        },
    )
    return recording.recorded(metadata, local.run(request, metadata.cached), about, begun=begun)


def _selected(selection: Selection) -> dict[str, Any]:
    """Which tasks run and whose outputs stand for the others, so that a run can go on as it was begun."""
    return {"selected": sorted(selection.paths), "of": selection.of} if selection.paths is not None else {}


def _sweep(record: RunRecord, settings: Settings) -> None:
    """End what a killed runner left: processes, and containers where there is an engine."""
    traces.sweep(record.id, settings.state)
    if record.options.get("containers"):
        with contextlib.suppress(BackendError):
            engine.find(settings.containers_engine).sweep(record.id, settings.state)


def _pointer(settings: Settings) -> Callable[[str], str]:
    """What a reference by alias points to in the registry now."""

    def digest(reference: str) -> str:
        if "@" not in reference:
            return ""
        from orchestrator.registry import pointer

        return pointer.digest(settings.tracking_uri, reference, state=settings.state)

    return digest


def named(given: str, pipeline: str) -> str:
    """The id of a new run, which is a folder's name too: the one asked for, or one made up from the pipeline's."""
    if not given:
        return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', pipeline).strip('-.')[:80] or 'run'}-{secrets.token_hex(3)}"
    if given != LAST and re.fullmatch(r"\w[\w .-]{0,99}", given):
        return given
    raise RunError(f"{given!r} cannot be the name of a run", hint="letters, digits, '-', '_', '.' and spaces")


def _with_workers(settings: Settings, workers: int | None) -> Settings:
    return replace(settings, workers=workers) if workers else settings
