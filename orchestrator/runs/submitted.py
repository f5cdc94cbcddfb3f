"""Runs on Kubeflow Pipelines: started, watched again, retried and cancelled; recorded like those of this machine.

The record is made before the server is asked, and the run there is called after it: whenever we die, it is found again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator import ir, recording
from orchestrator.errors import NotFoundError, OrchestratorError, RunError
from orchestrator.recording import About
from orchestrator.runners import kfp
from orchestrator.runners.events import Event, RunStarted, Status, Warned
from orchestrator.runners.kfp.client import UnansweredError
from orchestrator.runners.local import traces
from orchestrator.runs import connected, described
from orchestrator.runs import ready as made_ready
from orchestrator.runs.pods import Pods
from orchestrator.runs.prepared import Sending
from orchestrator.runs.started import is_alive, named
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import NOTHING
from orchestrator.stores.metadata import Metadata, RunRecord
from orchestrator.stores.records import KFP

LOOK_SECONDS = 10.0
"""How long one answer may take when a run is only looked at in passing."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made on Kubeflow Pipelines."""

    cache: bool = True
    run: str = ""
    """The run's id; one is made up when it is empty."""
    experiment: str = ""
    """KFP's group of runs; by default one named after the pipeline."""
    unpinned: bool = False
    """Take images by their tags, where no digest is known."""
    anyway: bool = False
    """Start what the server is known to do differently or not at all."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The server has a run."""

    run: str
    id: str
    """KFP's own name of it."""
    page: str
    """Where a person sees it."""


Said = Callable[[Sending | Submitted], None]


def unsaid(_: Sending | Submitted) -> None:
    """Nobody wants to know."""


def start(
    file: Path, texts: Mapping[str, str], settings: Settings, options: Options, said: Said = unsaid
) -> Iterator[Event]:
    """Run a pipeline file on Kubeflow Pipelines. Raises before the first event when it cannot start.

    Leaving the events early leaves the run alone.
    """
    ready = made_ready.make(file, texts, settings, unpinned=options.unpinned, anyway=options.anyway, said=said)
    loaded, connection = ready.loaded, ready.connection
    about = About(
        named(options.run, ready.name),
        ir.compact(ready.prepared.pipeline, loaded.platform),
        str(file),
        str(loaded.base),
        tuple(str(path) for path in loaded.code_paths),
        described.options(
            connection, ready.prepared, loaded.platform, settings, cache=options.cache, experiment=options.experiment
        ),
    )
    with contextlib.ExitStack() as stack:
        metadata = stack.enter_context(contextlib.closing(Metadata(settings.state / "state.db")))
        record = recording.record(about, ready.name, ready.prepared.arguments, time.time())
        metadata.start_run(record, [])
        stack.pop_all()
        return _watched(metadata, record, connection, settings, said=said, warnings=ready.warnings)


def resume(run: str, settings: Settings, said: Said = unsaid) -> Iterator[Event]:
    """Watch a run again that goes on there; one that failed or was cancelled goes on where it failed."""
    with contextlib.ExitStack() as stack:
        metadata = stack.enter_context(contextlib.closing(Metadata(settings.state / "state.db")))
        record = metadata.run(run)
        if is_alive(record):
            told = f"the run {record.id} is being watched by process {record.pid}"
            raise RunError(told, run=record.id, hint=f"`orc show {record.id}` shows how far it is")
        connection = connected.connection(settings, record.remote)
        record = _found(metadata, record, connection)
        there = _there(record, connection)
        if record.status != Status.RUNNING:
            record = _looked(metadata, record, connection, there)  # Somebody may have retried it by other means.
        if record.status in (Status.SUCCEEDED, Status.REJECTED, Status.UNDECIDED):
            hint = "`orc run FILE --on kfp` starts a new one"
            raise RunError(f"the run {record.id} is complete: {record.status.lower()}", run=record.id, hint=hint)
        if record.status != Status.RUNNING:
            kfp.retry(connection, str(record.remote["run"]))
            metadata.describe_run(record.id, {**record.options, "cancelled": False})
        pid = os.getpid()
        if not metadata.restart_run(record, pid=pid, pid_started=traces.identity(pid)):
            raise RunError(f"somebody else has just resumed the run {record.id}", run=record.id)
        stack.pop_all()
        return _watched(metadata, record, connection, settings, said=said)


def cancel(record: RunRecord, metadata: Metadata, settings: Settings) -> str:
    """Have the server end a run; says what was done."""
    connection = connected.connection(settings, record.remote)
    record = _found(metadata, record, connection)
    if record.status != Status.RUNNING:
        return f"{record.id} has already ended: {record.status.lower()}"
    metadata.describe_run(record.id, {**record.options, "cancelled": True})
    try:
        kfp.cancel(connection, str(record.remote["run"]))
    except NotFoundError:
        _close(metadata, record, Status.CANCELLED, "Kubeflow Pipelines does not know it any more")
        return f"Kubeflow Pipelines does not know {record.id} any more; it is now recorded as cancelled"
    return f"asked Kubeflow Pipelines to end {record.id}; `orc show {record.id}` says when it has"


def look(run: str, settings: Settings) -> str:
    """Bring the record of a run that nobody watches up to date; says what stood in the way, or nothing."""
    with contextlib.closing(Metadata(settings.state / "state.db")) as metadata:
        record = metadata.run(run)
        if record.on != KFP or record.status != Status.RUNNING or is_alive(record):
            return ""
        try:
            connection = replace(connected.connection(settings, record.remote), timeout=LOOK_SECONDS)
            record = _found(metadata, record, connection)
            _looked(metadata, record, connection, _there(record, connection))
        except OrchestratorError as error:
            return error.message
        return ""


def request(record: RunRecord, connection: kfp.Connection) -> kfp.Request:
    """What the runner is asked for: the same whether a run begins or is found again."""
    pipeline, platform = ir.load(record.ir, record.source)
    return kfp.Request(
        connection,
        record.id,
        pipeline,
        platform,
        record.arguments,
        experiment=str(record.remote.get("experiment", "")),
        service_account=str(record.remote.get("service_account", "")),
        use_cache=bool(record.options.get("cache", True)),
        existing=str(record.remote.get("run", "")),
        cancelled=lambda: bool(record.options.get("cancelled")),
    )


def _watched(
    metadata: Metadata,
    record: RunRecord,
    connection: kfp.Connection,
    settings: Settings,
    *,
    said: Said,
    warnings: tuple[str, ...] = (),
) -> Iterator[Event]:
    about = About(record.id, record.ir, record.source, record.base, record.code_paths, record.options)
    pods = Pods(settings, connection, str(record.remote.get("run", "")))
    # Another process may have asked for its end.
    cancelled = lambda: bool(metadata.run(record.id).options.get("cancelled"))  # noqa: E731
    known = [each.path for each in metadata.tasks(record.id) if Status(each.status).good]
    asked = replace(request(record, connection), told=known, pods=pods.told(), cancelled=cancelled)

    def submitted(told: Sending | Submitted) -> None:
        pods.run = told.id if isinstance(told, Submitted) else pods.run
        said(told)

    events = _events(metadata, record, asked, submitted, warnings)
    return recording.recorded(metadata, events, about, begun=True, outlives=True)


def _events(
    metadata: Metadata, record: RunRecord, asked: kfp.Request, said: Said, warnings: tuple[str, ...]
) -> Generator[Event]:
    known = asked.existing

    def started(identity: str) -> None:
        nonlocal known
        known = identity
        page = kfp.page(asked.connection, identity)
        _note(metadata, record, run=identity, page=page)
        said(Submitted(record.id, identity, page))

    try:
        with contextlib.closing(kfp.run(replace(asked, started=started))) as events:
            for event in events:
                yield event
                if isinstance(event, RunStarted):
                    yield from (Warned(warning, event.at) for warning in warnings)
    except OrchestratorError as error:
        if not known:
            _forget(metadata, record, asked.connection, is_sure=not isinstance(error, UnansweredError))
        else:
            again = f"the run goes on there: `orc resume {record.id}` watches it again"
            error.hint = f"{error.hint}\n{again}" if error.hint else again
        raise


def _note(metadata: Metadata, record: RunRecord, **remote: str) -> RunRecord:
    """The record with what became known of the run there."""
    changed = {**record.options, KFP: {**record.remote, **remote}}
    metadata.describe_run(record.id, changed)
    return replace(record, options=changed)


def _forget(metadata: Metadata, record: RunRecord, connection: kfp.Connection, *, is_sure: bool) -> None:
    """Drop the record of a run the server did not start; one of which that is not sure can still be resumed."""
    try:
        identity = kfp.find(connection, record.id)
    except OrchestratorError:
        if not is_sure:
            return
        identity = ""
    if identity:
        _note(metadata, record, run=identity, page=kfp.page(connection, identity))
    else:
        metadata.clear(lambda _: {record.id}, trial=False)


def _found(metadata: Metadata, record: RunRecord, connection: kfp.Connection) -> RunRecord:
    """The record with KFP's id of the run: we may have died before we were told."""
    if record.remote.get("run"):
        return record
    identity = kfp.find(connection, record.id)
    if not identity:
        if record.status == Status.RUNNING and not is_alive(record):
            _close(metadata, record, Status.FAILED, "it was never started on Kubeflow Pipelines")
        told = f"Kubeflow Pipelines at {connection.host} has no run {record.id}: it was never started there"
        raise RunError(told, run=record.id, hint=f"start it again: orc run {record.source} --on kfp")
    return _note(metadata, record, run=identity, page=kfp.page(connection, identity))


def _close(metadata: Metadata, record: RunRecord, status: Status, reason: str) -> None:
    """Record the end of a run that nobody will tell of."""
    metadata.finish_run(record.id, status=status, reason=reason, outputs=NOTHING, at=time.time())


class _EnoughError(Exception):
    """What there is to see has been seen."""


def _there(record: RunRecord, connection: kfp.Connection) -> Status:
    """The state of a run on the server. Raises NotFoundError where that does not know it."""
    try:
        return Status(kfp.status(connection, str(record.remote["run"])))
    except NotFoundError as error:
        error.hint = f"it was started at {record.remote.get('url')}; `orc cancel {record.id}` records that it is gone"
        raise


def _looked(metadata: Metadata, record: RunRecord, connection: kfp.Connection, there: Status) -> RunRecord:
    """The record as it is now, after one look at the server."""

    def stop(_: float) -> None:
        raise _EnoughError

    if record.status != Status.RUNNING and not there.final:
        metadata.restart_run(record, pid=0, pid_started="")
    events = kfp.run(request(record, connection), sleep=stop)
    with contextlib.suppress(_EnoughError), contextlib.closing(events):
        for event in events:
            recording.write(metadata, record.id, event)
    return metadata.run(record.id)
