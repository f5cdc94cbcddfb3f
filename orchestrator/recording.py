"""A run's events written down as they happen: what is shown has been recorded before."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.runners.events import Event, RunFinished, RunStarted, Status, TaskFinished, TaskRetried, TaskStarted
from orchestrator.runners.local import traces
from orchestrator.stores.artifacts import NOTHING, Values
from orchestrator.stores.metadata import Metadata, RunRecord, TaskRecord


@dataclass(frozen=True, slots=True)
class About:
    """What is recorded of a run and no event says."""

    run: str
    ir: str
    """The pipeline it runs, as text."""
    source: str
    base: str
    code_paths: tuple[str, ...]
    options: Mapping[str, Any]


def recorded(
    metadata: Metadata, events: Generator[Event], about: About, *, begun: bool, outlives: bool = False
) -> Iterator[Event]:
    """The events of a run, each recorded before it is handed on; closes `metadata` at the end.

    `begun` says that there is a record of the run already. One that `outlives` us goes on elsewhere when nobody
    listens any more: nothing is recorded of that.
    """
    is_known = begun
    try:
        # Closed here and not when the collector finds it: its tasks must not outlive an error.
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, RunStarted) and not begun:
                    tasks = [(task.path, task.name) for task in event.tasks]
                    metadata.start_run(record(about, event.pipeline, event.arguments, event.at), tasks)
                else:
                    write(metadata, about.run, event)
                is_known = True
                yield event
    except BaseException as error:
        if not is_known or outlives:
            raise
        reason = str(error) or ("the run was left" if isinstance(error, GeneratorExit) else type(error).__name__)
        with contextlib.suppress(OrchestratorError):  # The disk may be full: `resume` does not need this record.
            metadata.finish_run(about.run, status=Status.FAILED, reason=reason, outputs=NOTHING, at=time.time())
        raise
    finally:
        metadata.close()


def record(about: About, pipeline: str, arguments: Mapping[str, Any], at: float) -> RunRecord:
    """What is recorded of a run that begins, and that this process watches."""
    pid = os.getpid()
    return RunRecord(
        id=about.run,
        pipeline=pipeline,
        status=Status.RUNNING,
        reason="",
        started=at,
        finished=None,
        arguments=arguments,
        outputs=Values(),
        ir=about.ir,
        source=about.source,
        base=about.base,
        code_paths=about.code_paths,
        options=about.options,
        pid=pid,
        pid_started=traces.identity(pid),
    )


def write(metadata: Metadata, run: str, event: Event) -> None:
    """Record one event of a run that is recorded already."""
    match event:
        case RunStarted():
            metadata.expect_tasks(run, [(task.path, task.name) for task in event.tasks])
        case TaskStarted():
            metadata.start_task(
                run,
                event.task.path,
                name=event.task.name,
                inputs=event.inputs,
                log=event.log,
                attempt=event.attempt,
                at=event.at,
            )
        case TaskFinished():
            metadata.finish_task(_task_of(run, event), remember=event.status is Status.SUCCEEDED)
        case TaskRetried():
            metadata.retry_task(run, event.task.path, attempt=event.attempt, reason=event.reason, at=event.at)
        case RunFinished():
            metadata.finish_run(run, status=event.status, reason=event.reason, outputs=event.outputs, at=event.at)
        case _:
            pass


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
