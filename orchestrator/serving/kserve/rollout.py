"""Whether an endpoint's replicas are the ones that were asked for: KServe's `Ready` does not say.

KServe calls an InferenceService ready as long as its Deployment has enough replicas, those of the version before
included. So the pods are looked at: each carries the mark of the declaration that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.serving.kserve import canary, objects, scaling
from orchestrator.serving.kserve.objects import Manifest


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far it is: done, or what is missing. `lost` says that somebody else changed or deleted the object."""

    done: bool
    text: str = ""
    lost: bool = False
    refused: bool = False
    """KServe refuses the object as it is. A status may still be of the object before: it counts when it stays."""


def progress(service: Manifest | None, pods: Iterable[Manifest], mark: str) -> Rollout:
    """How far the InferenceService, with these pods, is on its way to the declaration of that mark: its own, or that
    of the canary beside it."""
    if service is None or service["metadata"].get("deletionTimestamp"):
        return Rollout(done=False, text="the InferenceService was deleted meanwhile", lost=True)
    if mark not in (objects.mark(service), canary.mark(service)):
        return Rollout(done=False, text="the InferenceService was changed meanwhile", lost=True)
    status: Mapping[str, Any] = service.get("status") or {}
    model = status.get("modelStatus") or {}
    if model.get("transitionStatus") == "InvalidSpec":
        return Rollout(done=False, text=_refusal(service, model.get("lastFailureInfo") or {}), refused=True)
    alive = [pod for pod in pods if _is_alive(pod)]
    new = [pod for pod in alive if _annotations(pod).get(objects.MARK) == mark]
    if _annotations(service).get(scaling.DEPLOYMENT_MODE) == "Knative":
        return _of_knative(status, alive, new)
    ready = sum(map(_is_ready, new))
    wanted = max(1, _least(service, mark))
    if ready < max(wanted, len(new)):
        # What keeps pods from being made at all, such as a quota, is known to the Deployment, and KServe repeats it.
        told = _unready(status) if not new else ""
        text = f"{ready} of {max(wanted, len(new))} replicas are ready"
        return Rollout(done=False, text=f"{text}; {told}" if told else text)
    if mark != objects.mark(service):
        return Rollout(done=True)
    beside = canary.mark(service)
    old = sum(_annotations(pod).get(objects.MARK) not in (mark, beside) for pod in alive)
    if old:
        return Rollout(done=False, text=f"{old} {'replica' if old == 1 else 'replicas'} of before still to end")
    if not _is_true(status, "Ready"):
        told = _unready(status) or "it says nothing of it; is its controller running?"
        return Rollout(done=False, text=f"its replicas are ready, KServe is not: {told}")
    return Rollout(done=True)


def _of_knative(status: Mapping[str, Any], alive: list[Manifest], new: list[Manifest]) -> Rollout:
    """Knative ends replicas that nobody asks, and keeps those of before for a while: its revisions say how far."""
    revisions = (status.get("components") or {}).get("predictor") or {}
    made, latest = revisions.get("latestCreatedRevision"), revisions.get("latestReadyRevision")
    if not made or made != latest or not _is_true(status, "Ready"):
        told = _unready(status) or "its controller has not said that it is"
        return Rollout(done=False, text=f"Knative's newest revision is not ready: {told}")
    # No replica at all is as it should be: the next request starts one.
    if alive and not any(map(_is_ready, new)):
        return Rollout(done=False, text="0 of 1 replicas are ready")
    return Rollout(done=True)


def _least(service: Manifest, mark: str) -> int:
    predictor = service["spec"]["predictor"]
    if mark != objects.mark(service):
        predictor = service["spec"]["canary"][0]["predictor"]
    return int(predictor.get("minReplicas", 1))


def url(service: Manifest, name: str, namespace: str) -> str:
    """Where the endpoint's server answers inside the cluster."""
    given = ((service.get("status") or {}).get("address") or {}).get("url")
    return str(given or objects.address(name, namespace)).rstrip("/")


def _refusal(service: Manifest, failure: Mapping[str, Any]) -> str:
    reason = failure.get("reason", "")
    runtime = service["spec"]["predictor"].get("model", {}).get("runtime", "")
    if reason == "RuntimeNotRecognized":
        setting = " with servingRuntime.knative" if runtime.endswith("-knative") else ""
        return f"there is no ClusterServingRuntime {runtime!r}: is our Helm chart installed{setting}?"
    if reason == "RuntimeDisabled":
        return f"the ClusterServingRuntime {runtime!r} is disabled"
    return f"KServe refuses it: {failure.get('message') or reason or 'it does not say why'}"


def _unready(status: Mapping[str, Any]) -> str:
    conditions = [each for each in status.get("conditions") or () if each.get("status") != "True"]
    # One reason makes several conditions untrue.
    told = dict.fromkeys(str(each.get("message") or each.get("reason") or "") for each in conditions)
    return "; ".join(filter(None, told))


def _is_alive(pod: Manifest) -> bool:
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _is_ready(pod: Manifest) -> bool:
    return _is_true(pod.get("status") or {}, "Ready")


def _is_true(status: Mapping[str, Any], condition: str) -> bool:
    found = [each for each in status.get("conditions") or () if each.get("type") == condition]
    return bool(found) and found[0].get("status") == "True"


def _annotations(pod: Manifest) -> Mapping[str, str]:
    return pod["metadata"].get("annotations") or {}
