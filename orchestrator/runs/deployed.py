"""What a run deployed, and one real request to it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError, RunError
from orchestrator.runners.events import Status
from orchestrator.settings import Settings
from orchestrator.stores.artifacts import ENDPOINT, Artifact
from orchestrator.stores.metadata import Metadata


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
class Served:
    """An endpoint that a run deployed to a cluster."""

    endpoint: str
    url: str
    model: str
    version: str
    look: str
    """The command that shows it."""


def served(run: str, settings: Settings) -> list[Served]:
    """The endpoints a run deployed to a cluster, as their tasks told of them."""
    return [_served(artifact.metadata, settings) for artifact in endpoints(run, settings)]


def _served(told: Mapping[str, Any], settings: Settings) -> Served:
    name, url, model, version, namespace = (
        str(told.get(key) or "") for key in ("name", "url", "model", "version", "namespace")
    )
    place = namespace or settings.cluster_namespace or settings.kfp_namespace
    look = f"kubectl get inferenceservice {name}".rstrip() + (f" --namespace {place}" if place else "")
    return Served(name, url, model, version, look)


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
