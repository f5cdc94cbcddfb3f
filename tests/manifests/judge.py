"""Run by the kserve package's own Python: whether its models know every field of the objects on stdin, and its type."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import kubernetes.client.models
from kserve import models as ours

KINDS = {
    "InferenceService": "V1beta1InferenceService",
    "ClusterServingRuntime": "V1alpha1ClusterServingRuntime",
    "InferenceGraph": "V1alpha1InferenceGraph",
}
# How the models name types of Kubernetes that its own client names differently, and plain values.
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}
FREE = {"object", "datetime", "ResourceQuantity", "IntstrIntOrString", "V1beta1MetricQuantity"}


def problems(value: Any, kind: str, path: str) -> list[str]:
    if inner := re.fullmatch(r"[lL]ist\[(.*)\]", kind):
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        return [each for number, item in enumerate(value) for each in problems(item, inner[1], f"{path}[{number}]")]
    if inner := re.fullmatch(r"(?:dict\(|Dict\[)str, (.*)[)\]]", kind):
        if not isinstance(value, dict):
            return [f"{path}: not a mapping"]
        return [each for key, item in value.items() for each in problems(item, inner[1], f"{path}.{key}")]
    if kind in PLAIN:
        is_good = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if is_good else [f"{path}: {value!r} is not {kind}"]
    if kind in FREE:
        return []
    return _of_model(value, kind, path)


def _of_model(value: Any, kind: str, path: str) -> list[str]:
    # Some are named after their package, too: K8sIoApiAppsV1DeploymentStrategy.
    plain = re.sub(r"^K8sIoApi[A-Z][a-z]+(?=V\d)", "", kind)
    found = getattr(ours, kind, None) or getattr(kubernetes.client.models, plain, None)
    if found is None:
        return [f"{path}: there is no model {kind}"]
    if not isinstance(value, dict):
        return [f"{path}: not a mapping"]
    named = {key: name for name, key in found.attribute_map.items()}
    unknown = [f"{path}: {kind} has no field {key}" for key in value if key not in named]
    inner = [
        each
        for key, item in value.items()
        if key in named
        for each in problems(item, found.openapi_types[named[key]], f"{path}.{key}")
    ]
    try:  # What must be there, and ranges: its constructor looks at them.
        found(**{named[key]: item for key, item in value.items() if key in named})
    except (ValueError, TypeError) as error:
        inner.append(f"{path}: {error}")
    return unknown + inner


if __name__ == "__main__":
    print(json.dumps([problems(each, KINDS[each["kind"]], each["kind"]) for each in json.load(sys.stdin)]))
