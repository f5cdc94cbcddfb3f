"""The objects of a cluster that files stand for: manifests as they are, endpoints of ours rendered."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.cluster import Manifest, written
from orchestrator.cluster.written import Written
from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.settings import Settings


def read(files: Sequence[str], settings: Settings, namespace: str) -> tuple[Written, ...]:
    """What is to be on the cluster. `namespace` is where endpoints go. Raises OrchestratorError."""
    return _expanded(files, settings, namespace, is_named_only=False)


def named(files: Sequence[str], settings: Settings, namespace: str) -> tuple[Written, ...]:
    """The objects of which only names count, as to delete them: no registry is asked."""
    return _expanded(files, settings, namespace, is_named_only=True)


def _expanded(files: Sequence[str], settings: Settings, namespace: str, *, is_named_only: bool) -> tuple[Written, ...]:
    found: list[Written] = []
    for each in written.read(files):
        if not each.is_ours:
            found.append(each)
            continue
        file = _alone(each)
        found.extend(
            Written(made, each.file) for made in _made(each, file, settings, namespace, is_named_only=is_named_only)
        )
    return tuple(found)


def _alone(each: Written) -> Path:
    """The file of an endpoint: what it names is beside it."""
    file = Path(each.file)
    if each.source is None or not file.is_file() or each.path:
        kind = each.manifest.get("kind")
        hint = "give the file itself: orc apply FILE"
        raise PipelineError([Problem(each.at(), f"a file of kind {kind} cannot come from a list or a pipe", hint)])
    return file


def _made(each: Written, file: Path, settings: Settings, namespace: str, *, is_named_only: bool) -> Iterator[Manifest]:
    match each.manifest.get("kind"):
        case "Endpoint":
            yield from _endpoint_names(file, namespace) if is_named_only else _endpoint(file, settings, namespace)
        case "Pipeline":
            message = "a pipeline is not applied as it is: its images need digests, its files a place"
            hint = f"orc compile {shlex.quote(str(file))} --format manifest --upload | orc apply -"
            raise PipelineError([Problem(Location(str(file)), message, hint)])
        case kind:
            message = f"a file of kind {kind} is nothing that a cluster holds"
            hint = "what can be applied: Endpoint, and manifests of Kubernetes"
            raise PipelineError([Problem(Location(str(file)), message, hint)])


def _endpoint(file: Path, settings: Settings, namespace: str) -> Iterator[Manifest]:
    from orchestrator.deployment import resolved
    from orchestrator.serving.kserve import objects

    yield from resolved.manifests(file, settings, objects.Place(namespace))


def _endpoint_names(file: Path, namespace: str) -> Iterator[Manifest]:
    from orchestrator import source
    from orchestrator.serving import endpoint
    from orchestrator.serving.kserve import objects, volume

    name = endpoint.parse(source.read(file)).metadata.name
    # What protects its replicas is there or not, by how many of them it had when it was applied.
    for version, kind, each in (
        (objects.API, objects.KIND, name),
        ("networking.k8s.io/v1", "NetworkPolicy", f"{name}-predictor"),
        ("policy/v1", "PodDisruptionBudget", f"{name}-predictor"),
        ("v1", "PersistentVolumeClaim", volume.claim_name(name)),
    ):
        yield {"apiVersion": version, "kind": kind, "metadata": {"name": each, "namespace": namespace}}
