"""A new version beside the one that is served: replicas of its own, and the share of requests a gateway gives it.

KServe splits by `spec.canary` in its mode Standard, and only through the Gateway API: requests from inside the cluster
to `NAME-predictor` all reach the version that was there. The new one answers at `NAME-next-predictor` meanwhile.

KServe would promote a canary by its name, without starting replicas anew; but it names the Service after it, too, so
that the endpoint's address inside the cluster would change with every version. Here the new version becomes the
predictor, by a rolling update of replicas that have already proved themselves, and its canary goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.serving.kserve import objects, runtime
from orchestrator.serving.kserve.objects import Manifest

NAME = "next"
# KServe keeps a fixed number of a canary's replicas, and refuses what would say otherwise.
_NUMBERS = frozenset({"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "autoScaling"})
# KServe lays a canary over the predictor: what only the predictor has, the canary has, too.
_MERGED = (("nodeSelector",), ("tolerations",), ("model", "resources", "limits"), ("model", "resources", "requests"))


def beside(service: Manifest, new: Manifest, percent: int) -> Manifest:
    """The object that serves what it did, and gives `percent` of the requests to replicas of `new`.

    Raises OrchestratorError where KServe would make other replicas of it than were asked for.
    """
    return {**service, "spec": {**service["spec"], "canary": [entry(service, new, percent, NAME)]}}


def withdrawn(service: Manifest) -> Manifest:
    """The object without its canaries: all requests go where they went before."""
    return {**service, "spec": {key: value for key, value in service["spec"].items() if key != "canary"}}


def mark(service: Manifest) -> str:
    """What tells the canary's replicas from all others; "" where there is none."""
    canaries = (service.get("spec") or {}).get("canary") or [{}]
    return str(canaries[0].get("predictor", {}).get("annotations", {}).get(objects.MARK, ""))


def share(service: Manifest) -> int:
    """The percentage of requests that the canary gets; 0 where there is none."""
    canaries = (service.get("spec") or {}).get("canary") or [{}]
    return int(canaries[0].get("trafficPercent", 0))


def address(name: str, namespace: str) -> str:
    """Where the canary alone answers inside the cluster: what proves it before it gets any share."""
    return objects.address(f"{name}-{NAME}", namespace)


def entry(service: Manifest, new: Manifest, percent: int, name: str) -> Mapping[str, Any]:
    """One item of `spec.canary`."""
    stable, predictor = service["spec"]["predictor"], new["spec"]["predictor"]
    if kept := _kept(stable, predictor):
        message = f"a canary keeps {', '.join(kept)} of the version beside it, which the new one does without"
        raise OrchestratorError(message, hint="deploy this one all at once: rollout: {strategy: all_at_once}")
    own = {key: value for key, value in predictor.items() if key not in _NUMBERS}
    # The definition of the resource wants the name that KServe itself would write.
    own["model"] = {"name": runtime.CONTAINER, **own["model"]}
    least = int(stable.get("minReplicas", 1))
    # Also without a share it must be there, to be proved; and more than the predictor's KServe does not take.
    replicas = min(max(1, math.ceil(least * percent / 100)), max(1, least))
    return {"trafficPercent": percent, "predictor": {"name": name, "minReplicas": replicas, **own}}


def _kept(stable: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for path in _MERGED:
        before, after = _at(stable, path), _at(new, path)
        if isinstance(before, Mapping):
            found += [f"{'.'.join(path)} {key}" for key in before if key not in (after or {})]
        elif before and not after:
            found.append(".".join(path))
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = (value or {}).get(key)
    return value
