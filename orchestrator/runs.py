"""Use cases of runs: start, resume and cancel one; every event is recorded before anybody sees it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator import ir, recording
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem, RunError
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import arguments, local
from orchestrator.runners.events import Event, Status
from orchestrator.runners.local import traces
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import ENDPOINT, NOTHING, Artifact, is_remote
from orchestrator.stores.metadata import LAST, Metadata, RunRecord, TaskRecord


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A real request to a deployed endpoint and what came back."""

    endpoint: str
    url: str
    model: str
    version: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    curl: str
    """The command that repeats the request."""
    stop: str
    """The command that stops the endpoint."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline ready to run, whatever file it came from."""

    pipeline: PipelineSpec
    platform: PlatformSpec
    base: Path
    code_paths: tuple[Path, ...]


def load(file: Path, given: Collection[str] = ()) -> Loaded:
    """A pipeline file of ours, or a compiled specification. Raises PipelineError."""
    builtin = Path(orchestrator.__file__).resolve().parent.parent
    if ir.recognises(file):
        pipeline, platform = ir.read(file)
        base = file.resolve().parent
        return Loaded(pipeline, platform, base, (base, builtin))
    from orchestrator.pipeline import load as front

    compiled = front.pipeline(file, given=given)
    paths = dict.fromkeys([*compiled.code, builtin])
    return Loaded(compiled.spec, compiled.platform, compiled.base, tuple(paths))


def start(file: Path, given: Mapping[str, str], settings: Settings, options: Options) -> Iterator[Event]:
    """Run a pipeline file with arguments as text. Raises before the first event when it cannot start."""
    loaded = load(file, given)
    values = arguments.from_text(loaded.pipeline, given)
    artifacts = loaded.pipeline.root.input_definitions.artifacts
    for name in (arguments.uris(loaded.pipeline) | set(artifacts)) & set(values):
        values[name] = _located(name, values[name])
    complete = arguments.complete(loaded.pipeline, values)
    request = local.Request(
        _named(options.run, loaded.pipeline.pipeline_info.name),
        loaded.pipeline,
        loaded.platform,
        complete,
        _with_workers(settings, options.workers),
        loaded.base,
        loaded.code_paths,
        options.cache,
        cold=options.cold,
        containers=options.containers,
        pointer=_pointer(settings),
    )
    metadata = Metadata(settings.state / "state.db")
    return recording.recorded(metadata, request, source=str(file), resumed=False)


def resume(run: str, settings: Settings, *, workers: int | None = None) -> Iterator[Event]:
    """Go on with a run that failed, was cancelled or was killed: what finished well is not run again."""
    with contextlib.ExitStack() as stack:
        metadata = stack.enter_context(contextlib.closing(Metadata(settings.state / "state.db")))
        record = metadata.run(run)
        if is_alive(record):
            raise RunError(f"the run {record.id} is still going on (process {record.pid})", run=record.id)
        if record.status in (Status.SUCCEEDED, Status.REJECTED):
            raise RunError(f"the run {record.id} is complete: {record.status.lower()}", run=record.id)
        pipeline, platform = ir.load(record.ir, record.source)
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
            finished={task.path: _done(task) for task in metadata.tasks(record.id) if Status(task.status).good},
            pointer=_pointer(settings),
            created=record.started,
        )
        pid = os.getpid()
        if not metadata.restart_run(record, pid=pid, pid_started=traces.identity(pid)):
            raise RunError(f"somebody else has just resumed the run {record.id}", run=record.id)
        traces.sweep(record.id, settings.state)
        stack.pop_all()
        return recording.recorded(metadata, request, source=record.source, resumed=True)


def cancel(run: str, settings: Settings) -> str:
    """Cancel a run from outside; says what was done."""
    with contextlib.closing(Metadata(settings.state / "state.db")) as metadata:
        record = metadata.run(run)
        if is_alive(record):
            os.kill(record.pid, signal.SIGTERM)
            return f"asked {record.id} to stop; its tasks have 10 s to end"
        if record.status != Status.RUNNING:
            return f"{record.id} has already ended: {record.status.lower()}"
        traces.sweep(record.id, settings.state)
        reason = "cancelled after its runner died"
        metadata.finish_run(record.id, status=Status.CANCELLED, reason=reason, outputs=NOTHING, at=time.time())
        return f"{record.id} was no longer running; it is now recorded as cancelled"


def is_alive(record: RunRecord) -> bool:
    """Whether the process that runs it is there."""
    return record.status == Status.RUNNING and bool(record.pid) and traces.identity(record.pid) == record.pid_started


def endpoints(run: str, settings: Settings) -> list[Artifact]:
    """The endpoints a run deployed."""
    with contextlib.closing(Metadata(settings.state / "state.db")) as metadata:
        tasks = metadata.tasks(metadata.run(run).id)
    made = (
        artifact
        for task in tasks
        if Status(task.status).good
        for row in task.outputs.artifacts.values()
        for artifact in row
    )
    return [artifact for artifact in made if artifact.type == ENDPOINT]


def answers(run: str, settings: Settings) -> list[Answer]:
    """One real request to each endpoint a run deployed.

    An endpoint that is declared no more, or whose server is gone, is served again: a deployment that came from the
    cache promises a served model too. One that serves something newer by now is left as it is.
    """
    return [_answer(artifact.path, settings) for artifact in endpoints(run, settings)]


def _answer(file: Path, settings: Settings) -> Answer:
    from orchestrator.serving import declarations
    from orchestrator.serving import local as serving

    state = settings.state
    made = declarations.load(file.read_text(encoding="utf-8"))
    declared = declarations.read(state, made.name)
    if declared is None:
        _refuse_unapproved([f"models:/{each.model}/{each.version}" for each in made.variants], settings)
        serving.declare(state, made)
        declared = made
    server = serving.ensure(state)
    try:
        serving.wait_ready(server.url, declared)
    except OrchestratorError as error:
        error.hint = error.hint or "`orc run --no-cache` trains, publishes and deploys anew"
        raise
    answer = serving.send_example(declared, server.url)
    return Answer(
        declared.name,
        serving.address(server, declared.name),
        declared.main.model,
        declared.main.version,
        answer.request,
        answer.response,
        answer.curl,
        f"orc endpoints stop {declared.name}",
    )


def _refuse_unapproved(versions: Sequence[str], settings: Settings) -> None:
    """What was approved when it was deployed may have been rejected since."""
    from orchestrator import registry

    found = registry.open(settings.tracking_uri, state=settings.state)
    for reference in versions:
        approval = found.version(reference).approval
        if approval is not registry.Approval.APPROVED:
            hint = "approve it with `orc models approve`, or train another model"
            raise RunError(f"{reference} is {approval} by now, so it is not served again", hint=hint)


def _located(name: str, value: Any) -> Any:
    """A path that was typed on the command line: it begins where it was typed, not where the pipeline lies."""
    if not isinstance(value, str) or is_remote(value) or value.startswith("file:"):
        return value
    place = Location(f"--arg {name}")
    if not value:
        raise PipelineError([Problem(place, "expected a file or a URI, not nothing")])
    try:
        return str(Path(value).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # A home of nobody, links in a circle, a NUL.
        raise PipelineError([Problem(place, f"no usable path: {error}")]) from error


def _pointer(settings: Settings) -> Callable[[str], str]:
    """What a reference by alias points to in the registry now."""

    def digest(reference: str) -> str:
        if "@" not in reference:
            return ""
        from orchestrator.registry import pointer

        return pointer.digest(settings.tracking_uri, reference, state=settings.state)

    return digest


def _named(given: str, pipeline: str) -> str:
    """The id of a new run, which is a folder's name too: the one asked for, or one made up from the pipeline's."""
    if not given:
        return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', pipeline).strip('-.')[:80] or 'run'}-{secrets.token_hex(3)}"
    if given != LAST and re.fullmatch(r"\w[\w .-]{0,99}", given):
        return given
    raise RunError(f"{given!r} cannot be the name of a run", hint="letters, digits, '-', '_', '.' and spaces")


def _done(task: TaskRecord) -> local.Done:
    return local.Done(task.inputs, task.outputs, task.cache_key)


def _with_workers(settings: Settings, workers: int | None) -> Settings:
    return replace(settings, workers=workers) if workers else settings
