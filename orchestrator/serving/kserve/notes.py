"""What an endpoint needs of its cluster that no object of its own can bring: said beside them, for who applies them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.kserve import scaling
from orchestrator.serving.kserve.manifests import Split
from orchestrator.serving.kserve.objects import Place


def notes(spec: Endpoint, place: Place, by: Split) -> tuple[str, ...]:
    """One line each; nothing where a KServe with nothing beside it will do."""
    return tuple(_notes(spec, place, by))


def _notes(spec: Endpoint, place: Place, by: Split) -> Iterator[str]:
    scaler = scaling.scaler(spec)
    if scaler == "knative":
        yield "KServe must have Knative, and our chart `servingRuntime.knative`"
        if spec.placement.node_selector or spec.placement.tolerations or spec.resources.accelerator:
            features = "kubernetes.podspec-nodeselector and kubernetes.podspec-tolerations"
            yield f"Knative's ConfigMap config-features must allow {features}"
    if scaler == "keda":
        yield "the cluster must have KEDA"
        if scaling.metric(spec) in ("concurrency", "rps"):
            where = spec.rollout.prometheus or scaling.PROMETHEUS
            yield f"Prometheus at {where} must collect the endpoint's metrics: --monitor, or our chart's monitors"
    if scaler == "hpa":
        yield "the cluster must have metrics-server"
    if (by == "canary" and len(spec.variants) > 1) or spec.rollout.strategy != "all_at_once":
        yield "a gateway gives canaries their share: KServe needs the Gateway API (enableGatewayApi)"
    if by == "graph" and len(spec.variants) > 1:
        yield "KServe's router takes V1 only, at any path, and chooses by chance"
    if not place.reached and (kept := _elsewhere(spec)):
        reach = "networkPolicies.extra.predictorsTo of our chart"
        yield f"replicas reach names and the registry only; {kept} is let through by {reach}"


def _elsewhere(spec: Endpoint) -> str:
    """Where replicas write, without what follows the host or the bucket."""
    uris = [spec.capture.to] if spec.capture else []
    uris += [spec.asynchronous.output] if spec.asynchronous else []
    found = [
        "://".join((scheme, rest.split("/")[0].rpartition("@")[2]))
        for scheme, _, rest in (uri.partition("://") for uri in uris)
    ]
    return " and ".join(dict.fromkeys(found))
