"""A run on Kubeflow Pipelines as a stream of events: submitted or found again, then watched to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import arguments
from orchestrator.runners.events import Event, RunFinished, RunStarted, Status, TaskId
from orchestrator.runners.kfp import paths, requests, seen
from orchestrator.runners.kfp import submit as submission
from orchestrator.runners.kfp.client import Client, MissingError, RefusedError, UnansweredError, missing
from orchestrator.runners.kfp.connection import Connection
from orchestrator.runners.kfp.look import Eye
from orchestrator.runners.kfp.submit import Order
from orchestrator.runners.kfp.watch import Watch
from orchestrator.runners.local import graph


def _unseen(_run: str) -> None:
    """Nobody wants to know."""


def _silent(_pod: str) -> Iterable[str]:
    """No log can be read."""
    return ()


def _unknown(_run: str) -> Mapping[str, str]:
    """Nothing is known of any pod."""
    return {}


def _never() -> bool:
    """Nobody has."""
    return False


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
    told: Collection[str] = ()
    """Paths of the tasks of which it is known already that they went well: they are not told again."""
    started: Callable[[str], None] = _unseen
    """Told KFP's id of the run as soon as it is known, before the first event."""
    pods: Pods = field(default_factory=Pods)
    cancelled: Callable[[], bool] = _never
    """Whether somebody of ours has ended the run: KFP's server often calls such a run failed."""
    stuck: float = 30
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
    tasks = graph.known(request.pipeline)
    given = arguments.complete(request.pipeline, request.arguments)
    artifacts = sorted(request.pipeline.root.input_definitions.artifacts)
    if artifacts:
        hint = "let a task import it: make the parameter a string, and give the URI to the task"
        raise RunError(f"Kubeflow Pipelines takes no artifact for an argument: {', '.join(artifacts)}", hint=hint)
    client = Client(request.connection, sleep=sleep)
    identity, lost = request.existing, False
    if not identity:
        identity, lost = submission.submit(client, request.run, order(request, given), sleep=sleep)
    request.started(identity)
    yield RunStarted(request.run, request.pipeline.pipeline_info.name, given, tasks, clock())
    for event in Watch(request, client, identity, clock, sleep).events():
        if lost and isinstance(event, RunFinished):
            submission.only(client, request.run, identity)  # The server may have been slower than we were patient.
        yield event


def order(request: Request, given: Mapping[str, Any]) -> Order:
    """What is submitted for a request."""
    return Order(
        request.pipeline,
        request.platform,
        given,
        request.experiment,
        request.service_account,
        request.pipeline_root,
        request.use_cache,
    )


def find(connection: Connection, run: str) -> str:
    """KFP's id of the run of our name, the latest if there are several; "" when there is none."""
    found = submission.runs(Client(connection), run)
    return str(found[-1]["run_id"]) if found else ""


def cancel(connection: Connection, run: str) -> None:
    """End a run, by KFP's id. What has already ended stays as it is. Raises NotFoundError, BackendError."""
    client = Client(connection)
    try:
        client(requests.terminate(run))
    except MissingError as error:
        raise missing("run of Kubeflow Pipelines", run, error) from error
    except RefusedError:
        # The server refuses to end what is not going on.
        if not _state(client, run).status.final:
            raise


def retry(connection: Connection, run: str) -> None:
    """Let a run, by KFP's id, go on where it failed: KFP keeps what went well. Raises RunError when it has not ended or
    went well, NotFoundError, BackendError."""
    client = Client(connection)
    status = _state(client, run).status
    if not status.final:
        raise RunError(f"the run {run} is still going on", run=run)
    if status.good:
        raise RunError(f"the run {run} went well, there is nothing to do again", run=run)
    try:
        client(requests.retry(run))
    except UnansweredError:
        # Asked twice it might begin twice: whether it goes on is seen from its state.
        if _state(client, run).status.final:
            raise


def status(connection: Connection, run: str) -> str:
    """The state of a run, by KFP's id, in our words. Raises NotFoundError, BackendError."""
    return _state(Client(connection), run).status


def pods(connection: Connection, run: str, pipeline: PipelineSpec, platform: PlatformSpec) -> tuple[TaskPods, ...]:
    """The pods of each task of a run, by KFP's id, as far as they are known by now. Raises NotFoundError."""
    try:
        looked = Eye(Client(connection), pipeline, platform).look(run)
    except MissingError as error:
        raise missing("run of Kubeflow Pipelines", run, error) from error
    return tuple(
        TaskPods(place[0], each.pods)
        for path, each in looked.tasks.items()
        if each.pods and _tells(each) and (place := paths.follow(pipeline, path.split("/")))
    )


def _tells(task: seen.Seen) -> bool:
    """Whether what its pods wrote is about the task: a driver's is where the task fails by it."""
    return not task.of_driver or task.status is Status.FAILED


def page(connection: Connection, run: str) -> str:
    """Where a person sees a run, by KFP's id, in a browser."""
    return f"{connection.host}/#/runs/details/{run}"


def _state(client: Client, run: str) -> seen.SeenRun:
    try:
        return seen.of(client(requests.run(run)))
    except MissingError as error:
        raise missing("run of Kubeflow Pipelines", run, error) from error
