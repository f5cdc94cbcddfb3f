"""The ClusterServingRuntime: how KServe starts our model server. The Helm chart installs it; endpoints name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "orchestrator-server"
FORMAT = "orchestrator"
PORT = 8080
CONTAINER = "kserve-container"
"""The name that KServe knows the container of a predictor by."""
SHARED = "orchestrator"
"""The ConfigMap and the Secret, in the namespace of runs, that say where the registry is and open it."""
USER = 65532
"""As whom the server runs: nobody."""
_TEMPORARY = "tmp"
# Longer than it takes to tell every kube-proxy that a pod is going: until then requests still arrive.
_PAUSE_SECONDS = 5


def for_knative(name: str) -> str:
    """The runtime beside `name` that Knative takes."""
    return f"{name}-knative"


def cluster_serving_runtime(image: str, *, name: str = NAME, knative: bool = False) -> Mapping[str, Any]:
    """The runtime of endpoints; `image` is the server's, best by its digest. Knative ends pods in its own way."""
    container = _container(image)
    if knative:
        name = for_knative(name)
        del container["lifecycle"]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "orchestrator"}},
        "spec": {
            "annotations": {"prometheus.kserve.io/port": str(PORT), "prometheus.kserve.io/path": "/metrics"},
            # Not chosen by format: an endpoint names it.
            "supportedModelFormats": [{"name": FORMAT, "version": "1", "autoSelect": False}],
            "protocolVersions": ["v1", "v2"],
            "containers": [container],
            "volumes": [{"name": _TEMPORARY, "emptyDir": {}}],
        },
    }


def _container(image: str) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["python", "-m", "orchestrator.deployment.served"],
        # Every address of the pod: its readiness is asked, and its requests come, from outside.
        "args": ["--host", "0.0.0.0", "--port", str(PORT)],  # noqa: S104
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "env": [
            {
                "name": "MLFLOW_TRACKING_URI",
                "valueFrom": {"configMapKeyRef": {"name": SHARED, "key": "MLFLOW_TRACKING_URI"}},
            },
            {
                "name": "MLFLOW_TRACKING_TOKEN",
                "valueFrom": {"secretKeyRef": {"name": SHARED, "key": "MLFLOW_TRACKING_TOKEN", "optional": True}},
            },
            {"name": "HOME", "value": "/tmp"},  # noqa: S108  The pod's own.
        ],
        # The registry may take minutes to come up beside us; after that a server that hangs is soon found out.
        "startupProbe": {**_probe("live"), "periodSeconds": 5, "failureThreshold": 60},
        "livenessProbe": {**_probe("live"), "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**_probe("ready"), "periodSeconds": 5, "failureThreshold": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": _PAUSE_SECONDS}}},
        # What the server last said is then in the pod's status, for who may not read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": _TEMPORARY, "mountPath": "/tmp"}],  # noqa: S108
    }


def _probe(what: str) -> dict[str, Any]:
    return {"httpGet": {"path": f"/v2/health/{what}", "port": PORT}, "timeoutSeconds": 3}
