"""A run on Kubeflow Pipelines as a stream of events: submitted or found again, then watched to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.events import Event, TaskId
from orchestrator.runners.kfp.connection import Connection


def _unseen(_run: str) -> None:
    """Nobody wants to know."""


def _silent(_pod: str) -> Iterable[str]:
    """No log can be read."""
    return ()


def _unknown(_run: str) -> Mapping[str, str]:
    """Nothing is known of any pod."""
    return {}


@dataclass(frozen=True, slots=True)
class Pods:
    """What can be told about the pods of a run; by default nothing, as without access to the cluster."""

    logs: Callable[[str], Iterable[str]] = _silent
    """The lines of the log of a pod, by its name. May raise BackendError, which is taken for no lines."""
    troubles: Callable[[str], Mapping[str, str]] = _unknown
    """Given KFP's id of a run (label `pipeline/runid`): its pods that cannot begin or were ended, by name, and why in
    words, e.g. `ImagePullBackOff: ...`. May raise BackendError, which is taken for none."""


@dataclass(frozen=True, slots=True)
class Request:
    """One run to be made, or to be watched again."""

    connection: Connection
    run: str
    """Our name of the run. It becomes KFP's display name, and is how the run is found if we die before its id is
    known."""
    pipeline: PipelineSpec
    platform: PlatformSpec
    arguments: Mapping[str, Any]
    experiment: str = ""
    """KFP's group of runs; "" for one named after the pipeline."""
    service_account: str = ""
    """The account the run's pods have; "" for the server's choice."""
    use_cache: bool = True
    """False switches the cache off for every task; True leaves it as the pipeline says."""
    pipeline_root: str = ""
    """Where artifacts are kept; "" for the server's choice."""
    existing: str = ""
    """KFP's id of a run that is there already: it is watched, and nothing is submitted."""
    started: Callable[[str], None] = _unseen
    """Told KFP's id of the run as soon as it is known, before the first event."""
    pods: Pods = field(default_factory=Pods)
    stuck: float = 60
    """Seconds between two looks for pods in trouble."""


@dataclass(frozen=True, slots=True)
class TaskPods:
    """The pods of a task, the latest last."""

    task: TaskId
    pods: tuple[str, ...]


def run(
    request: Request, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> Generator[Event]:
    """Submit a run, or find it again, and tell what happens until it has ended.

    Asked again with the same name, it submits nothing twice. Closing the generator leaves the run alone: `cancel` ends
    it. Raises BackendError when the server cannot be reached or refuses, PipelineError for arguments that do not fit.
    """
    raise NotImplementedError
    yield


def find(connection: Connection, run: str) -> str:
    """KFP's id of the run of our name, the latest if there are several; "" when there is none."""
    raise NotImplementedError


def cancel(connection: Connection, run: str) -> None:
    """End a run, by KFP's id. What has already ended stays as it is. Raises NotFoundError, BackendError."""
    raise NotImplementedError


def retry(connection: Connection, run: str) -> None:
    """Let a run, by KFP's id, go on where it failed: KFP keeps what went well. Raises RunError when it has not ended or
    went well, NotFoundError, BackendError."""
    raise NotImplementedError


def pods(connection: Connection, run: str, pipeline: PipelineSpec) -> tuple[TaskPods, ...]:
    """The pods of each task of a run, by KFP's id, as far as they are known by now."""
    raise NotImplementedError


def page(connection: Connection, run: str) -> str:
    """Where a person sees a run, by KFP's id, in a browser."""
    raise NotImplementedError
