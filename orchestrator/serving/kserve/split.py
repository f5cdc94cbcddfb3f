"""Variants with replicas of their own, and who shares requests out among them: a gateway, or a router of KServe's.

Inside our server none of this is needed: every replica has all variants, and keeps clients with theirs. Replicas of
their own are for variants that need other machines, or other numbers of them, or that a server of others serves.
KServe's router sends each request, by chance, to one address: it knows V1 only, no header, no key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.serving.declarations import Declaration, Variant
from orchestrator.serving.kserve import canary, objects, scaling
from orchestrator.serving.kserve.objects import Manifest, Place

GRAPH_API = "serving.kserve.io/v1alpha1"
GRAPH = "InferenceGraph"


def shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as whole percentages that sum to 100: what rounding leaves goes to those it took most from."""
    total = sum(weights)
    exact = [100 * weight / total for weight in weights]
    whole = [math.floor(each) for each in exact]
    most = sorted(range(len(exact)), key=lambda place: (whole[place] - exact[place], place))
    for place in most[: 100 - sum(whole)]:
        whole[place] += 1
    return tuple(whole)


def alone(declaration: Declaration) -> Mapping[str, Declaration]:
    """The endpoint once for each of its variants, under the name of an InferenceService of its own."""
    return {f"{declaration.name}-{each.name}": only(declaration, each) for each in declaration.variants}


def only(declaration: Declaration, variant: Variant) -> Declaration:
    """The endpoint as if it had but this variant."""
    (asked,) = (each for each in declaration.spec.variants if each.name == variant.name)
    spec = declaration.spec.model_copy(update={"variants": (asked.model_copy(update={"weight": 1.0}),)})
    bare = variant.model_copy(update={"weight": 1.0})
    return declaration.model_copy(update={"variants": (bare,), "spec": spec})


def splitter(declaration: Declaration, place: Place) -> Manifest:
    """KServe's router, which needs no gateway. A variant without weight has its replicas, and gets nothing."""
    spec = declaration.spec
    percent = shares([each.weight for each in declaration.variants])
    targets = [
        {
            "name": variant.name,
            "serviceUrl": f"{objects.address(name, place.namespace)}/v1/models/{declaration.name}:predict",
            "weight": share,
        }
        for (name, variant), share in zip(_named(declaration), percent, strict=True)
        if share
    ]
    seconds = math.ceil(spec.limits.timeout_seconds)
    # The router answers a little later than the replica it waits for.
    timeouts = {"serviceClient": seconds, "serverWrite": seconds + 5}
    metadata = objects.metadata_of(declaration, place, declaration.name)
    annotations = {scaling.DEPLOYMENT_MODE: "Standard", scaling.SCALER: "none"}
    return {
        "apiVersion": GRAPH_API,
        "kind": GRAPH,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            "minReplicas": min(2, scaling.least(spec)),
            "timeout": seconds,
            "routerTimeouts": timeouts,
            "nodes": {"root": {"routerType": "Splitter", "steps": targets}},
        },
    }


def canaries(declaration: Declaration, place: Place) -> Manifest:
    """One InferenceService whose largest variant is its predictor, and the others canaries: a gateway splits."""
    percent = dict(
        zip(
            [each.name for each in declaration.variants],
            shares([each.weight for each in declaration.variants]),
            strict=True,
        )
    )
    main = declaration.main
    service: dict[str, Any] = {**objects.inference_service(only(declaration, main), place)}
    others = [each for each in declaration.variants if each.name != main.name]
    entries = [
        canary.entry(service, objects.inference_service(only(declaration, each), place), percent[each.name], each.name)
        for each in others
    ]
    return {**service, "spec": {**service["spec"], "canary": entries}}


def _named(declaration: Declaration) -> list[tuple[str, Variant]]:
    return [(f"{declaration.name}-{each.name}", each) for each in declaration.variants]
