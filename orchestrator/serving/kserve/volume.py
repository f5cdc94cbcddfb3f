"""The disk of an endpoint of mode async: the queue on it outlives its replica.

There is one replica, and a new one waits until the old one has let go of the disk. The claim is made before the
InferenceService and is never deleted with it: it may hold requests that nobody has answered yet.
"""

from __future__ import annotations

import math
from typing import Any

from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint

PATH = "/var/lib/orchestrator"
_NAME = "queue"
# Room for the models, and for some of the largest requests at once.
_LEAST_GIB, _REQUESTS = 10, 4
_GIB = 1024**3


def is_wanted(spec: Endpoint) -> bool:
    """Whether replicas of this endpoint keep something that must not be lost with them."""
    return spec.asynchronous is not None


def claim(declaration: Declaration, metadata: dict[str, Any]) -> dict[str, Any]:
    """What the disk is asked for by."""
    queued = declaration.spec.asynchronous
    body = queued.body_bytes if queued else 0
    room = f"{_LEAST_GIB + math.ceil(_REQUESTS * body / _GIB)}Gi"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": room}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def claim_name(endpoint: str) -> str:
    """What the claim of an endpoint is called."""
    return f"{endpoint}-{_NAME}"


def of_predictor(spec: Endpoint, endpoint: str, user: int) -> dict[str, Any]:
    """What a predictor says of its disk; `user` is the one it must be writable for."""
    if not is_wanted(spec):
        return {}
    return {
        "deploymentStrategy": {"type": "Recreate"},
        "securityContext": {"fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch"},
        "volumes": [{"name": _NAME, "persistentVolumeClaim": {"claimName": claim_name(endpoint)}}],
    }


def of_container(spec: Endpoint) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What its container is told, and what it mounts: the server keeps what it keeps below $TMPDIR."""
    if not is_wanted(spec):
        return [], []
    return [{"name": "TMPDIR", "value": PATH}], [{"name": _NAME, "mountPath": PATH}]
