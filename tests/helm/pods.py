"""The pods in a rendering, wherever they stand: in a Deployment, a CronJob, a hook, a runtime of KServe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]

_PATHS = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "ClusterServingRuntime": ("spec",),
    "ServingRuntime": ("spec",),
}


@dataclass(frozen=True)
class Pod:
    """The specification of a pod, and the object that has it."""

    of: Manifest
    spec: Manifest

    @property
    def name(self) -> str:
        return f"{self.of['kind']} {self.of['metadata']['name']}"

    @property
    def of_kserve(self) -> bool:
        """KServe makes the pod: account, resources and tokens come with the endpoint."""
        return str(self.of["kind"]).endswith("ServingRuntime")

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(found: Sequence[Manifest]) -> Iterator[Pod]:
    """Every pod that the objects make."""
    for each in found:
        if each["kind"] in _PATHS:
            spec = each
            for key in _PATHS[each["kind"]]:
                spec = spec[key]
            yield Pod(each, spec)
