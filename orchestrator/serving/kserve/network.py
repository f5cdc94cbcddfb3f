"""Who may reach the replicas of an endpoint, and what they may reach: NetworkPolicies."""

from __future__ import annotations

from typing import Any

from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import objects, runtime, scaling
from orchestrator.serving.kserve.objects import Manifest, Place

OF_GRAPH = "serving.kserve.io/inferencegraph"
"""The label by which KServe says whose router a pod is."""
# Where Knative's own container in a pod takes requests, and is asked how many there are.
_QUEUE_PORTS = (8012, 8013, 8022, 9090, 9091)
_KNATIVE = "knative-serving"
_NAMES = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def of_predictor(declaration: Declaration, place: Place, *, name: str = "") -> Manifest:
    """Requests come from the namespace and from callers; a replica reaches the registry and names, nothing else."""
    service = name or declaration.name
    is_knative = scaling.is_knative(declaration.spec)
    ports = (runtime.PORT, place.server.metrics_port, *(_QUEUE_PORTS if is_knative else ()))
    callers = dict.fromkeys([*place.callers, *([_KNATIVE] if is_knative else [])])
    egress = [_NAMES, *([_registry()] if place.server.is_ours else []), *place.reached]
    # Where a server of others fetches its model from is known to KServe, not to us: without rules it is not held back.
    held = place.server.is_ours or bool(place.reached)
    metadata = objects.metadata_of(declaration, place, objects.predictor_name(service))
    ingress = {"from": _from(tuple(callers)), "ports": _tcp(*dict.fromkeys(ports))}
    return _policy(metadata, {objects.OF_SERVICE: service}, ingress, egress if held else None)


def of_router(declaration: Declaration, place: Place) -> Manifest:
    """Requests come as to replicas; a router reaches replicas and names, nothing else."""
    predictors = {"podSelector": {"matchExpressions": [{"key": objects.OF_SERVICE, "operator": "Exists"}]}}
    metadata = objects.metadata_of(declaration, place, f"{declaration.name}-router")
    ingress = {"from": _from(place.callers), "ports": _tcp(runtime.PORT)}
    egress = [_NAMES, {"to": [predictors], "ports": _tcp(runtime.PORT)}]
    return _policy(metadata, {OF_GRAPH: declaration.name}, ingress, egress)


def _policy(metadata: Any, selected: dict[str, str], ingress: Any, egress: list[Any] | None) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": selected},
            "policyTypes": ["Ingress"] if egress is None else ["Ingress", "Egress"],
            "ingress": [ingress],
            **({} if egress is None else {"egress": egress}),
        },
    }


def _from(callers: tuple[str, ...]) -> list[Any]:
    named = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": each}}} for each in callers]
    return [{"podSelector": {}}, *named]


def _tcp(*ports: int) -> list[Any]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _registry() -> Any:
    mlflow = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "mlflow"}}}
    return {"to": [mlflow], "ports": _tcp(5000)}
