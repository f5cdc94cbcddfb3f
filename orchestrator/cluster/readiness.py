"""When an object is ready, by its kind: pure, from what the object says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.cluster import reason
from orchestrator.cluster.objects import Manifest, Progress

_DONE = Progress(done=True)


def ready(manifest: Manifest) -> Progress:
    """How far an object is: rollouts finished, Jobs complete, claims bound, `Ready` or `Available` of all else."""
    if (manifest.get("metadata") or {}).get("deletionTimestamp"):
        return Progress(done=False, text="it is being deleted")
    kind = str(manifest.get("kind", ""))
    status: Mapping[str, Any] = manifest.get("status") or {}
    seen = status.get("observedGeneration")
    # A status of an older generation says nothing of what was just applied. KServe counts its Deployment's instead.
    if (
        kind != "InferenceService"
        and isinstance(seen, int)
        and seen < (manifest.get("metadata") or {}).get("generation", 0)
    ):
        return Progress(done=False, text="its controller has not seen the change yet")
    return _KINDS.get(kind, _by_condition)(manifest, status)


def is_unproven(manifest: Manifest) -> bool:
    """Whether its containers are taken for ready as soon as they run: at least one has no readiness probe."""
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    kind = manifest.get("kind")
    if kind not in ("Pod", "Deployment", "StatefulSet", "DaemonSet") or spec.get("replicas", 1) == 0:
        return False
    pod = spec if kind == "Pod" else (spec.get("template") or {}).get("spec") or {}
    return any("readinessProbe" not in each for each in pod.get("containers") or ())


def _deployment(manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    wanted = (manifest.get("spec") or {}).get("replicas", 1)
    conditions = _conditions(status)
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        limit = (manifest.get("spec") or {}).get("progressDeadlineSeconds", 600)
        return Progress(done=False, failed=True, text=f"it made no progress for {limit} s")
    if failure := conditions.get("ReplicaFailure"):
        return Progress(done=False, text=reason.not_created(str(failure.get("message", ""))))
    if "observedGeneration" not in status:
        return Progress(done=False, text="its controller has not seen it yet")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted:
        return Progress(done=False, text=f"{min(updated, available)} of {wanted} pods are available")
    old = status.get("replicas", 0) - updated
    return Progress(done=False, text=f"{_pods(old)} of before still to end") if old > 0 else _DONE


def _replicas(manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    wanted, have = (manifest.get("spec") or {}).get("replicas", 1), status.get("availableReplicas", 0)
    return _DONE if have >= wanted else Progress(done=False, text=f"{have} of {wanted} pods are available")


def _stateful_set(manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    spec = manifest.get("spec") or {}
    wanted, are_ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if "observedGeneration" not in status:
        return Progress(done=False, text="its controller has not seen it yet")
    if are_ready < wanted:
        return Progress(done=False, text=f"{are_ready} of {wanted} pods are ready")
    rolls = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    if (
        rolls
        and status.get("updateRevision") != status.get("currentRevision")
        and status.get("updatedReplicas", 0) < wanted
    ):
        return Progress(done=False, text=f"{status.get('updatedReplicas', 0)} of {wanted} pods are updated")
    return _DONE


def _daemon_set(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    if "observedGeneration" not in status:
        return Progress(done=False, text="its controller has not seen it yet")
    wanted = status.get("desiredNumberScheduled", 0)
    have = min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
    return _DONE if have >= wanted else Progress(done=False, text=f"{have} of {wanted} pods are available")


def _job(manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    conditions = _conditions(status)
    if _is(conditions, "Complete") or _is(conditions, "SuccessCriteriaMet"):
        return _DONE
    for name in ("Failed", "FailureTarget"):
        if _is(conditions, name):
            return Progress(done=False, failed=True, text=_told(conditions[name]) or "it failed")
    if (manifest.get("spec") or {}).get("suspend"):
        return Progress(done=False, text="it is suspended")
    wanted = (manifest.get("spec") or {}).get("completions") or 1
    return Progress(done=False, text=f"{status.get('succeeded', 0)} of {wanted} pods succeeded")


def _pod(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    match status.get("phase"):
        case "Succeeded":
            return _DONE
        case "Failed":
            return Progress(
                done=False, failed=True, text=str(status.get("message") or status.get("reason") or "it failed")
            )
    if _is(_conditions(status), "Ready"):
        return _DONE
    return Progress(done=False, text=f"it is {str(status.get('phase', 'Pending')).lower()}, not ready")


def _definition(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    conditions = _conditions(status)
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        return Progress(done=False, failed=True, text=_told(names))
    return _DONE if _is(conditions, "Established") else Progress(done=False, text="it is not established yet")


def _claim(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    phase = status.get("phase", "Pending")
    if phase == "Lost":
        return Progress(done=False, failed=True, text="the volume it was bound to is gone")
    return _DONE if phase == "Bound" else Progress(done=False, text="no volume is bound to it yet")


def _namespace(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    return _DONE if status.get("phase", "Active") == "Active" else Progress(done=False, text="it is being deleted")


def _inference_service(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    conditions = _conditions(status)
    if _is(conditions, "Ready"):
        return _DONE
    model = status.get("modelStatus") or {}
    if (failure := model.get("lastFailureInfo")) and model.get("transitionStatus") in (
        "BlockedByFailedLoad",
        "InvalidSpec",
    ):
        text = f"the model was not loaded: {failure.get('message') or failure.get('reason')}"
        return Progress(done=False, failed=model["transitionStatus"] == "InvalidSpec", text=text)
    missing = [name for name in sorted(conditions) if name != "Ready" and conditions[name].get("status") != "True"]
    parts = [f"{name} is not yet true{_because(conditions[name])}" for name in missing]
    return Progress(
        done=False, text="; ".join(parts) or "KServe has not said anything of it; is its controller running?"
    )


def _by_condition(_manifest: Manifest, status: Mapping[str, Any]) -> Progress:
    """Anything else: ready unless it has a condition that says it is not."""
    conditions = _conditions(status)
    for name in ("Ready", "Available", "Established"):
        if name in conditions:
            found = conditions[name]
            return (
                _DONE if _is(conditions, name) else Progress(done=False, text=_told(found) or f"{name} is not yet true")
            )
    return _DONE


_KINDS: Mapping[str, Callable[[Manifest, Mapping[str, Any]], Progress]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replicas,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "Pod": _pod,
    "CustomResourceDefinition": _definition,
    "PersistentVolumeClaim": _claim,
    "Namespace": _namespace,
    "InferenceService": _inference_service,
}


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = status.get("conditions")
    return (
        {str(each.get("type")): each for each in found if isinstance(each, Mapping)} if isinstance(found, list) else {}
    )


def _is(conditions: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return conditions.get(name, {}).get("status") == "True"


def _told(condition: Mapping[str, Any]) -> str:
    return str(condition.get("message") or condition.get("reason") or "")


def _because(condition: Mapping[str, Any]) -> str:
    told = _told(condition)
    return f" ({told})" if told else ""


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
