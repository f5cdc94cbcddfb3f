"""How many replicas KServe keeps, and who decides it: Kubernetes' own autoscaler, KEDA, Knative, or nobody.

KServe's mode Standard makes a Deployment, which Kubernetes' autoscaler never scales below one replica. Knative does,
and holds requests until one is back: a serverless endpoint is Knative's unless its file says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from orchestrator.errors import Problem
from orchestrator.serving.endpoint import Endpoint
from orchestrator.source import Source

Scaler = Literal["none", "hpa", "keda", "knative"]
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
SCALER = "serving.kserve.io/autoscalerClass"
PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
"""Where the metrics of replicas are asked for when the file says nothing: the Prometheus operator's own Service."""
_RETENTION = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
_LONGEST_IDLE = 3600.0
_PERCENT = 80


def scaler(spec: Endpoint) -> Scaler:
    """Who decides how many replicas there are."""
    if spec.scaling.by == "knative" or (spec.scaling.by is None and spec.mode == "serverless"):
        return "knative"
    if least(spec) == most(spec):
        return "none"
    return spec.scaling.by or "hpa"


def is_knative(spec: Endpoint) -> bool:
    """Whether replicas are a service of Knative rather than a Deployment."""
    return scaler(spec) == "knative"


def least(spec: Endpoint) -> int:
    """The fewest replicas. A queue of requests is on its one replica's disk: that one stays."""
    return 1 if spec.mode == "async" else spec.scaling.min


def most(spec: Endpoint) -> int:
    """The most replicas."""
    return 1 if spec.mode == "async" else max(spec.scaling.max, least(spec))


def of_service(spec: Endpoint) -> dict[str, str]:
    """What the InferenceService says of its mode and its autoscaler: always, since KServe's own defaults disagree."""
    if is_knative(spec):
        return {DEPLOYMENT_MODE: "Knative"}
    # Without a class KServe makes an autoscaler even where there is nothing to scale.
    return {DEPLOYMENT_MODE: "Standard", SCALER: scaler(spec)}


def of_pods(spec: Endpoint) -> dict[str, str]:
    """What pods say of it: how long Knative keeps the last one that nobody asks."""
    if not is_knative(spec) or spec.mode != "serverless":
        return {}
    return {_RETENTION: re.sub(r"\s", "", spec.scaling.idle)}


def fields(spec: Endpoint, selector: str) -> dict[str, Any]:
    """What a predictor says; `selector` is how Prometheus knows the metrics of its replicas."""
    found: dict[str, Any] = {"minReplicas": least(spec), "maxReplicas": most(spec)}
    match scaler(spec):
        case "hpa":
            found |= {"scaleMetric": metric(spec), "scaleTarget": spec.scaling.target or _PERCENT}
        case "keda":
            found["autoScaling"] = {"metrics": [_of_keda(spec, selector)]}
        case "knative":
            found |= {"scaleMetric": metric(spec), "containerConcurrency": spec.limits.concurrency}
            # Without a target Knative takes 70 % of what a replica takes at once.
            found |= {} if spec.scaling.target is None else {"scaleTarget": spec.scaling.target}
    return found


def metric(spec: Endpoint) -> str:
    """What tells how busy replicas are."""
    return spec.scaling.metric or ("concurrency" if is_knative(spec) else "cpu")


def problems(document: Source, spec: Endpoint) -> Iterator[Problem]:
    """What the file asks of an autoscaler that it does not do."""
    asked, chosen = spec.scaling, scaler(spec)
    at = document.at("scaling", "metric" if asked.metric else "by")
    if chosen == "knative" and metric(spec) in ("cpu", "memory"):
        hint = "write metric: concurrency or rps"
        yield Problem(at, f"Knative scales by requests, not by {metric(spec)}", hint)
    if chosen == "hpa" and metric(spec) in ("concurrency", "rps"):
        message = f"Kubernetes' own autoscaler knows nothing of requests ({metric(spec)})"
        yield Problem(at, message, "add by: keda, which asks Prometheus, or by: knative")
    if chosen == "keda" and metric(spec) in ("concurrency", "rps") and asked.target is None:
        message = f"how many requests ({metric(spec)}) keep a replica busy is not said"
        yield Problem(document.at("scaling"), message, "add target: 20")
    if chosen == "knative" and spec.mode == "async":
        message = "Knative ends replicas that nobody asks, and with them the queue"
        yield Problem(document.at("scaling", "by"), message, "leave out by")
    if chosen != "knative" and spec.scaling.min == 0 and spec.mode != "async":
        message = "no replica at all: only Knative holds requests until there is one"
        yield Problem(document.at("scaling", "min"), message, "write min: 1, or by: knative")
    if chosen == "knative" and spec.mode == "serverless" and asked.idle_seconds > _LONGEST_IDLE:
        yield Problem(document.at("scaling", "idle"), "Knative keeps an idle replica for an hour at most", "write 1h")
    if spec.mode == "async" and asked.max > 1:
        message = f"{asked.max} replicas: a queue of requests is on one replica's disk"
        yield Problem(document.at("scaling", "max"), message, "leave out max; async.workers says how many work at once")


def _of_keda(spec: Endpoint, selector: str) -> Mapping[str, Any]:
    kind, target = metric(spec), spec.scaling.target or _PERCENT
    if kind in ("cpu", "memory"):
        wanted = {"type": "Utilization", "averageUtilization": target}
        return {"type": "Resource", "resource": {"name": kind, "target": wanted}}
    query = {
        "concurrency": f"sum(requests_in_flight{{{selector}}})",
        "rps": f"sum(rate(requests_total{{{selector}}}[1m]))",
    }[kind]
    source = {"backend": "prometheus", "serverAddress": spec.rollout.prometheus or PROMETHEUS, "query": query}
    return {"type": "External", "external": {"metric": source, "target": {"type": "Value", "value": str(target)}}}
