"""A run's events written down as they happen: what is shown has been recorded before."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from orchestrator import ir
from orchestrator.errors import OrchestratorError
from orchestrator.runners import local
from orchestrator.runners.events import Event, RunFinished, RunStarted, Status, TaskFinished, TaskRetried, TaskStarted
from orchestrator.runners.local import traces
from orchestrator.stores.artifacts import NOTHING, Values
from orchestrator.stores.metadata import Metadata, RunRecord, TaskRecord


def recorded(metadata: Metadata, request: local.Request, *, source: str, resumed: bool) -> Iterator[Event]:
    """The events of a run, each recorded before it is handed on; closes `metadata` at the end."""
    begun = resumed
    try:
        # Closed here and not when the collector finds it: its tasks must not outlive an error.
        with contextlib.closing(local.run(request, metadata.cached)) as events:
            for event in events:
                _record(metadata, request, event, source=source, resumed=resumed)
                begun = True
                yield event
    except BaseException as error:  # Interrupted, too, and left by whoever looked.
        if not begun:
            raise
        reason = str(error) or ("the run was left" if isinstance(error, GeneratorExit) else type(error).__name__)
        with contextlib.suppress(OrchestratorError):  # The disk may be full: `resume` does not need this record.
            metadata.finish_run(request.run, status=Status.FAILED, reason=reason, outputs=NOTHING, at=time.time())
        raise
    finally:
        metadata.close()


def _record(metadata: Metadata, request: local.Request, event: Event, *, source: str, resumed: bool) -> None:
    match event:
        case RunStarted() if not resumed:
            metadata.start_run(_record_of(request, event, source), [(task.path, task.name) for task in event.tasks])
        case TaskStarted():
            metadata.start_task(
                request.run,
                event.task.path,
                name=event.task.name,
                inputs=event.inputs,
                log=event.log,
                attempt=event.attempt,
                at=event.at,
            )
        case TaskFinished():
            metadata.finish_task(_task_of(request.run, event), remember=event.status is Status.SUCCEEDED)
        case TaskRetried():
            metadata.retry_task(request.run, event.task.path, attempt=event.attempt, reason=event.reason, at=event.at)
        case RunFinished():
            metadata.finish_run(
                request.run, status=event.status, reason=event.reason, outputs=event.outputs, at=event.at
            )
        case _:
            pass


def _record_of(request: local.Request, event: RunStarted, source: str) -> RunRecord:
    pid = os.getpid()
    return RunRecord(
        id=request.run,
        pipeline=event.pipeline,
        status=Status.RUNNING,
        reason="",
        started=event.at,
        finished=None,
        arguments=event.arguments,
        outputs=Values(),
        ir=ir.compact(request.pipeline, request.platform),
        source=source,
        base=str(request.base),
        code_paths=tuple(str(path) for path in request.code_paths),
        options={
            "cache": request.use_cache,
            "workers": request.settings.workers,
            "cold": request.cold,
            "containers": request.containers,
            "earlier": request.earlier.run,
            **_selected(request),
        },
        pid=pid,
        pid_started=traces.identity(pid),
    )


def _selected(request: local.Request) -> dict[str, Any]:
    """Which tasks run and whose outputs stand for the others, so that a run can go on as it was begun."""
    selection = request.selection
    return {"selected": sorted(selection.paths), "of": selection.of} if selection.paths is not None else {}


def _task_of(run: str, event: TaskFinished) -> TaskRecord:
    return TaskRecord(
        run=run,
        path=event.task.path,
        name=event.task.name,
        component=event.component,
        status=event.status,
        reason=event.reason,
        attempt=0,
        started=event.started or None,
        finished=event.at,
        inputs=event.inputs,
        outputs=event.outputs,
        cache_key=event.cache_key,
        key_parts=event.key_parts,
        missed=event.missed,
        cached_from=event.cached_from,
        log=event.log,
        warnings=event.warnings,
    )
