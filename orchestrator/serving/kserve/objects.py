"""An endpoint as an InferenceService: what its replicas serve, how large they are, and where they may be.

KServe's mode Standard makes a Deployment, a Service `NAME-predictor` and a HorizontalPodAutoscaler of it. Our server in
the pod loads the models itself, so that there is no storage URI: what it serves is one value of one variable, and
putting back the object as it was puts back every variant at once. Servers of others are given a folder instead.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.ir import placement
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import payload, runtime, scaling, servers, volume
from orchestrator.serving.kserve.servers import Server
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
# The pause before the end, until nobody sends requests any more, and some to tidy up.
_PAUSE_SECONDS = 15


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
    server: Server = servers.OURS
    storage: str = ""
    """Where models lie for servers that are not ours: a URI that KServe fetches from."""


def inference_service(declaration: Declaration, place: Place, *, name: str = "") -> Manifest:
    """What KServe is told; `name` is the object's where it is not the endpoint's."""
    metadata = {
        **metadata_of(declaration, place, name or declaration.name),
        "annotations": scaling.of_service(declaration.spec),
    }
    spec = {"predictor": predictor(declaration, place, name=name)}
    return {"apiVersion": API, "kind": KIND, "metadata": metadata, "spec": spec}


def predictor(declaration: Declaration, place: Place, *, name: str = "") -> dict[str, Any]:
    """The replicas: their mark, their number, and what each is."""
    spec = declaration.spec
    replica = _replica(declaration, place)
    digest = hashlib.sha256(json.dumps(replica, sort_keys=True).encode()).hexdigest()
    # The label that our monitors give to what they read; the model's name may be that of several services.
    selector = f'namespace="{place.namespace}", endpoint_name="{name or declaration.name}"'
    marks = {MARK: digest[:16], **scaling.of_pods(spec)}
    return {"annotations": marks, **scaling.fields(spec, selector), **replica}


def mark(service: Manifest) -> str:
    """What tells the replicas of this InferenceService from those of any other; "" for one that is not ours."""
    return str(service.get("spec", {}).get("predictor", {}).get("annotations", {}).get(MARK, ""))


def is_ours(service: Manifest) -> bool:
    """Whether an InferenceService was made here."""
    labels = service.get("metadata", {}).get("labels") or {}
    return all(labels.get(key) == value for key, value in OURS.items())


def _grace(declaration: Declaration) -> int:
    """Seconds in which the server answers what was asked before it ends."""
    return math.ceil(declarations.longest_answer([declaration])) + _PAUSE_SECONDS


def address(name: str, namespace: str) -> str:
    """Where KServe's Service of an endpoint answers inside the cluster."""
    return f"http://{predictor_name(name)}.{namespace}.svc"


def predictor_name(name: str) -> str:
    """What KServe calls the Deployment and the Service of an InferenceService's predictor."""
    return f"{name}-predictor"


def metadata_of(declaration: Declaration, place: Place, name: str) -> dict[str, Any]:
    """Name, namespace and labels of an object of this endpoint."""
    return {"name": name, "namespace": place.namespace, "labels": {**declaration.spec.metadata.labels, **OURS}}


def _replica(declaration: Declaration, place: Place) -> dict[str, Any]:
    """All that makes one replica differ from another."""
    spec, server = declaration.spec, place.server
    # Knative has its own way to end a pod, and refuses another.
    grace = {} if scaling.is_knative(spec) else {"terminationGracePeriodSeconds": _grace(declaration)}
    if server.is_ours:
        named = runtime.for_knative(place.runtime) if scaling.is_knative(spec) else place.runtime
        variables, mounts = volume.of_container(spec)
        told = [{"name": payload.VARIABLE, "value": payload.dump(declaration)}, *variables]
        model: dict[str, Any] = {"modelFormat": {"name": runtime.FORMAT}, "runtime": named, "env": told}
        model |= {"volumeMounts": mounts} if mounts else {}
    else:
        model = servers.model(server, declaration, place.storage)
    return {
        "serviceAccountName": place.account,
        # The server asks the cluster nothing.
        "automountServiceAccountToken": False,
        **grace,
        "timeout": math.ceil(spec.limits.timeout_seconds),
        **_placement(spec),
        **volume.of_predictor(spec, declaration.name, runtime.USER),
        "model": {**model, "resources": _resources(spec.resources, server)},
    }


def _placement(spec: endpoint.Endpoint) -> dict[str, Any]:
    selector = dict(spec.placement.node_selector)
    tolerations = [
        {key: value for key, value in each.model_dump().items() if value} for each in spec.placement.tolerations
    ]
    if (device := spec.resources.accelerator) is not None:
        tolerations = tolerations or placement.device_tolerations(device.type)
        if device.product and (label := placement.product_label(device.type)):
            selector.setdefault(label, device.product)
    return {
        **({"nodeSelector": selector} if selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
    }


def _resources(asked: Resources, server: Server) -> dict[str, Any]:
    """Requests and limits in full: KServe fills in what is missing, and its limit may be below our request."""
    given = {"cpu": asked.cpu or server.cpu, "memory": _quantity(asked.memory) if asked.memory else server.memory}
    if asked.accelerator is not None:
        given[asked.accelerator.type] = str(asked.accelerator.count)
    return {"requests": given, "limits": dict(given)}


def _quantity(size: str) -> str:
    """A size of an endpoint file as Kubernetes writes it: without a blank or a final B."""
    return size.replace(" ", "").removesuffix("B")
