"""The local runner: KFP's driver, launcher and scheduler on one machine, as a stream of events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import ComponentRef, PipelineSpec, Task
from orchestrator.runners import arguments
from orchestrator.runners.events import Event, RunFinished, RunStarted, Status, Warned
from orchestrator.runners.local import graph, placeholders, traps, unhonoured, watch, workspace
from orchestrator.runners.local.schedule import Schedule
from orchestrator.runners.local.selection import EVERYTHING, Selection
from orchestrator.runners.local.work import Done, Earlier, Work
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import DECISION, ArtifactStore, Values
from orchestrator.stores.metadata import CacheEntry


def _nothing(_reference: str) -> str:
    """Nothing is a reference."""
    return ""


@dataclass(frozen=True, slots=True)
class Request:
    """One run to be made."""

    run: str
    pipeline: PipelineSpec
    platform: PlatformSpec
    arguments: Mapping[str, Any]
    settings: Settings
    base: Path
    """Relative paths in the IR are resolved against this folder."""
    code_paths: tuple[Path, ...] = ()
    """Folders in which the packages of components are found."""
    use_cache: bool = True
    cold: bool = False
    """Start every task from scratch instead of from a warm process."""
    containers: bool = False
    """Run container tasks through Docker or Podman."""
    finished: Mapping[str, Done] = field(default_factory=dict)
    """Tasks, by path, that a resumed run does not run again."""
    earlier: Earlier = field(default_factory=Earlier)
    """What another run made, and this one takes over where it would make the same."""
    selection: Selection = EVERYTHING
    """Which tasks run."""
    pointer: Callable[[str], str] = _nothing
    """What a parameter that is a reference by alias, `penguins@champion`, points to now: a digest, or ""."""
    created: float | None = None
    """When a resumed run was first started."""
    warnings: tuple[str, ...] = ()
    """What a person should know before it begins."""


def run(
    request: Request, cached: Callable[[str], CacheEntry | None], *, clock: Callable[[], float] = time.time
) -> Generator[Event]:
    """Run a pipeline. The caller must have recorded each event before it asks for the next."""
    tasks = graph.known(request.pipeline)
    given = arguments.complete(request.pipeline, request.arguments)
    warnings = [*request.warnings, *unhonoured.warnings(request), *traps.phrases(request.pipeline)]
    yield RunStarted(request.run, request.pipeline.pipeline_info.name, given, tasks, clock())
    for message in warnings:
        yield Warned(message, clock())
    with watch.watching() as watching, contextlib.ExitStack() as stack:
        schedule = Schedule(
            request, cached, watching, clock, _names(request, clock() if request.created is None else request.created)
        )
        stack.callback(schedule.execution.programs.kill)
        schedule.execution.workspace.make()
        root = _root(request, given, schedule.execution.store)
        yield from schedule.events(root)
        status, reason = (Status.FAILED, schedule.late) if schedule.late else _outcome(root, list(_gates(root)))
        if status is Status.SUCCEEDED:
            schedule.execution.workspace.remove()
        yield RunFinished(request.run, status, clock(), reason, root.outputs or Values())


def _root(request: Request, given: Mapping[str, Any], store: ArtifactStore) -> Work:
    component = request.pipeline.root
    parameters = {name: given[name] for name in component.input_definitions.parameters if name in given}
    artifacts = {
        name: tuple(
            store.adopt(_located(uri, request.base), type=declared.artifact_type.title)
            for uri in arguments.listed(given[name])
        )
        for name, declared in component.input_definitions.artifacts.items()
        if name in given
    }
    return Work((), Task(component_ref=ComponentRef(name="root")), component, given=Values(parameters, artifacts))


def _located(uri: str, base: Path) -> str:
    return uri if ":" in uri else str(base / uri)


def _names(request: Request, at: float) -> Mapping[str, str]:
    created = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    root = str(request.settings.state / "runs" / request.run)
    name = request.pipeline.pipeline_info.name
    shared = workspace.of(request.platform, request.settings.state, request.run).path
    return placeholders.names(request.run, name, "", "", root=root, created=created, workspace=shared)


def _gates(work: Work) -> Iterator[tuple[str, str]]:
    """What each gate below decided, and why."""
    for child in work.children.values():
        yield from _gates(child)
    if work.is_leaf and work.outputs:
        for artifact in (each for row in work.outputs.artifacts.values() for each in row):
            if artifact.type == DECISION:
                yield str(artifact.metadata.get("decision", "")), str(artifact.metadata.get("reason", ""))


def _outcome(root: Work, gates: list[tuple[str, str]]) -> tuple[Status, str]:
    """The run's status: that of its tasks, unless all went well and a gate did not say yes."""
    if root.status is not Status.SUCCEEDED:
        return root.status, f"{root.failure[0].name}: {root.failure[1]}" if root.failure else root.reason
    for decision, status in (("undecided", Status.UNDECIDED), ("rejected", Status.REJECTED)):
        reasons = [reason for decided, reason in gates if decided == decision]
        if reasons:
            return status, "; ".join(reasons)
    return Status.SUCCEEDED, ""
