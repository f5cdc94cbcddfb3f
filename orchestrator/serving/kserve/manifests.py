"""Everything an endpoint is on a cluster: its InferenceService, or several, and what protects and watches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import network, objects, scaling, split, volume
from orchestrator.serving.kserve.objects import Manifest, Place

Split = Literal["server", "canary", "graph"]
"""Who shares requests out: our server in every replica, the cluster's gateway, or a router of KServe's."""
_PORT = "http1"


@dataclass(frozen=True, slots=True)
class Monitor:
    """How the Prometheus operator is told of replicas."""

    interval: str = "30s"
    labels: Mapping[str, str] = field(default_factory=dict)
    """By which a Prometheus finds its monitors."""


def render(
    declaration: Declaration, place: Place, *, by: Split = "server", monitor: Monitor | None = None
) -> tuple[Manifest, ...]:
    """The same declaration gives the same objects."""
    return tuple(_objects(declaration, place, by, monitor))


def claims(declaration: Declaration, place: Place) -> tuple[Manifest, ...]:
    """The disks that must be there first."""
    if not volume.is_wanted(declaration.spec):
        return ()
    metadata = objects.metadata_of(declaration, place, volume.claim_name(declaration.name))
    return (volume.claim(declaration, metadata),)


def _objects(declaration: Declaration, place: Place, by: Split, monitor: Monitor | None) -> Iterator[Manifest]:
    yield from claims(declaration, place)
    if by == "graph" and len(declaration.variants) > 1:
        for name, alone in split.alone(declaration).items():
            yield from _service(objects.inference_service(alone, place, name=name), alone, place, name, monitor)
        yield split.splitter(declaration, place)
        yield network.of_router(declaration, place)
        return
    is_split = by == "canary" and len(declaration.variants) > 1
    made = split.canaries(declaration, place) if is_split else objects.inference_service(declaration, place)
    yield from _service(made, declaration, place, declaration.name, monitor)


def _service(
    made: Manifest, declaration: Declaration, place: Place, name: str, monitor: Monitor | None
) -> Iterator[Manifest]:
    yield made
    yield network.of_predictor(declaration, place, name=name)
    if scaling.least(declaration.spec) >= 2:
        yield disruption_budget(declaration, place, name=name)
    if monitor is not None:
        yield service_monitor(declaration, place, monitor, name=name)


def disruption_budget(declaration: Declaration, place: Place, *, name: str = "") -> Manifest:
    """A node that is drained takes one replica at a time."""
    service = name or declaration.name
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": objects.metadata_of(declaration, place, objects.predictor_name(service)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {objects.OF_SERVICE: service}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def service_monitor(declaration: Declaration, place: Place, monitor: Monitor, *, name: str = "") -> Manifest:
    """What Prometheus reads of the replicas, under the names that our chart's rules and dashboard know."""
    service = name or declaration.name
    metadata = objects.metadata_of(declaration, place, objects.predictor_name(service))
    metadata["labels"] |= monitor.labels
    label = "__meta_kubernetes_service_label_serving_kserve_io_inferenceservice"
    relabelings: list[dict[str, Any]] = [
        {"targetLabel": "job", "replacement": "orchestrator-predictors"},
        {"sourceLabels": [label], "targetLabel": "endpoint_name"},
    ]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": {objects.OF_SERVICE: service}},
            "endpoints": [
                {"port": _PORT, "path": "/metrics", "interval": monitor.interval, "relabelings": relabelings}
            ],
        },
    }
