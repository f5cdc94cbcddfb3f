"""An endpoint as objects of Kubernetes: one InferenceService, who may reach its replicas, and how few may be left.

KServe's mode Standard makes a Deployment, a Service `NAME-predictor` and a HorizontalPodAutoscaler of it. The server in
the pod loads the models itself, so that there is no storage URI: what it serves is one value of one variable, and
putting back the object as it was puts back every variant at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.serving import endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import payload, runtime
from orchestrator.serving.replicas import Resources

Manifest = Mapping[str, Any]

API = "serving.kserve.io/v1beta1"
GROUP = "serving.kserve.io"
KIND = "InferenceService"
ACCOUNT = "orchestrator-server"
MARK = "orchestrator/declaration"
"""The annotation by which a pod says which declaration it was made for."""
OF_SERVICE = "serving.kserve.io/inferenceservice"
"""The label by which KServe says whose pod a pod is."""
OURS: Mapping[str, str] = {"app.kubernetes.io/managed-by": "orchestrator"}
MODE: Mapping[str, str] = {"serving.kserve.io/deploymentMode": "Standard"}
# What a replica is given where the file does not say: a scikit-learn model and its server, with room.
_CPU, _MEMORY = "500m", "1Gi"
_PRODUCT = "nvidia.com/gpu.product"
# The pause before the end, the drain of the server, and some.
_GRACE_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Place:
    """Where endpoints go, and what is known of the cluster there."""

    namespace: str
    runtime: str = runtime.NAME
    account: str = ACCOUNT
    callers: tuple[str, ...] = ()
    """Namespaces whose pods may send requests, beside the endpoint's own: the ingress', the monitoring's."""
    reached: tuple[Manifest, ...] = ()
    """More that replicas may reach, as rules of a NetworkPolicy: a registry that is outside of the namespace."""


def render(declaration: Declaration, place: Place) -> tuple[Manifest, ...]:
    """Everything an endpoint is on a cluster. The same declaration gives the same objects."""
    found = [inference_service(declaration, place), network_policy(declaration, place)]
    if declaration.spec.scaling.min >= 2:
        found.append(disruption_budget(declaration, place))
    return tuple(found)


def inference_service(declaration: Declaration, place: Place) -> Manifest:
    """What KServe is told: the declaration, the size and number of replicas, and where they may be."""
    spec = declaration.spec
    fixed = spec.scaling.min == spec.scaling.max
    replica = _replica(declaration, place)
    digest = hashlib.sha256(json.dumps(replica, sort_keys=True).encode()).hexdigest()
    predictor = {
        "annotations": {MARK: digest[:16]},
        "minReplicas": spec.scaling.min,
        "maxReplicas": spec.scaling.max,
        **({} if fixed else {"scaleMetric": "cpu", "scaleTarget": spec.scaling.target}),
        **replica,
    }
    # Without a class KServe makes an autoscaler even where there is nothing to scale.
    annotations = {**MODE, "serving.kserve.io/autoscalerClass": "none" if fixed else "hpa"}
    metadata = {**_metadata(declaration, place, declaration.name), "annotations": annotations}
    return {"apiVersion": API, "kind": KIND, "metadata": metadata, "spec": {"predictor": predictor}}


def network_policy(declaration: Declaration, place: Place) -> Manifest:
    """Requests come from the namespace and from callers; a replica reaches the registry and names, nothing else."""
    callers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": each}}} for each in place.callers]
    names = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    registry = {
        "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "mlflow"}}}],
        "ports": [{"protocol": "TCP", "port": 5000}],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(declaration, place, _predictor(declaration.name)),
        "spec": {
            "podSelector": {"matchLabels": {OF_SERVICE: declaration.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"podSelector": {}}, *callers], "ports": [{"protocol": "TCP", "port": runtime.PORT}]}
            ],
            "egress": [names, registry, *place.reached],
        },
    }


def disruption_budget(declaration: Declaration, place: Place) -> Manifest:
    """A node that is drained takes one replica at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(declaration, place, _predictor(declaration.name)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {OF_SERVICE: declaration.name}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def mark(service: Manifest) -> str:
    """What tells the replicas of this InferenceService from those of any other; "" for one that is not ours."""
    return str(service.get("spec", {}).get("predictor", {}).get("annotations", {}).get(MARK, ""))


def is_ours(service: Manifest) -> bool:
    """Whether an InferenceService was made here."""
    labels = service.get("metadata", {}).get("labels") or {}
    return all(labels.get(key) == value for key, value in OURS.items())


def address(name: str, namespace: str) -> str:
    """Where KServe's Service of an endpoint answers inside the cluster."""
    return f"http://{_predictor(name)}.{namespace}.svc"


def _predictor(name: str) -> str:
    return f"{name}-predictor"


def _metadata(declaration: Declaration, place: Place, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": place.namespace, "labels": {**declaration.spec.metadata.labels, **OURS}}


def _replica(declaration: Declaration, place: Place) -> dict[str, Any]:
    """All that makes one replica differ from another."""
    spec = declaration.spec
    return {
        "serviceAccountName": place.account,
        # The server asks the cluster nothing.
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "timeout": math.ceil(spec.limits.timeout_seconds),
        **_placement(spec),
        "model": {
            "modelFormat": {"name": runtime.FORMAT},
            "runtime": place.runtime,
            "env": [{"name": payload.VARIABLE, "value": payload.dump(declaration)}],
            "resources": _resources(spec.resources),
        },
    }


def _placement(spec: endpoint.Endpoint) -> dict[str, Any]:
    selector = dict(spec.placement.node_selector)
    if spec.resources.accelerator is not None and spec.resources.accelerator.product:
        selector.setdefault(_PRODUCT, spec.resources.accelerator.product)
    tolerations = [
        {key: value for key, value in each.model_dump().items() if value} for each in spec.placement.tolerations
    ]
    return {
        **({"nodeSelector": selector} if selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
    }


def _resources(asked: Resources) -> dict[str, Any]:
    """Requests and limits in full: KServe fills in what is missing, and its limit may be below our request."""
    given = {"cpu": asked.cpu or _CPU, "memory": _quantity(asked.memory) if asked.memory else _MEMORY}
    if asked.accelerator is not None:
        given[asked.accelerator.type] = str(asked.accelerator.count)
    return {"requests": given, "limits": dict(given)}


def _quantity(size: str) -> str:
    """A size of an endpoint file as Kubernetes writes it: without a blank or a final B."""
    return size.replace(" ", "").removesuffix("B")
