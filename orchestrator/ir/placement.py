"""Labels and taints of machines that everybody knows: those with devices, and those that can be taken away.

A task that asks for a GPU or for spot capacity finds such machines on any cloud without a word about the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.ir.platform import KubernetesExecutor

Data = dict[str, Any]
GPU = "nvidia.com/gpu"
PRIORITY = "orchestrator/priority"
"""The label that names the priority class of a pod, which Kubeflow Pipelines has no field for."""

SPOT: Sequence[tuple[str, str]] = (
    ("cloud.google.com/gke-spot", "true"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("orchestrator/spot", "true"),
)
"""Label and value of machines that can be taken away: GKE, EKS, Karpenter, AKS, and one for every other cluster."""

_PRODUCTS: Mapping[str, str] = {
    "nvidia.com": "nvidia.com/gpu.product",
    "amd.com": "amd.com/gpu.product-name",
    "gpu.intel.com": "gpu.intel.com/product",
}
_SPOT_KEYS = frozenset(key for key, _ in SPOT)


def product_label(resource: str) -> str:
    """The label by which nodes tell the product of a device; "" where none is known."""
    return _PRODUCTS.get(resource.partition("/")[0], "")


def device_tolerations(resource: str) -> list[Data]:
    """The taint that keeps everything else off a node with devices: by custom it is called as the resource."""
    keys = [GPU, resource] if resource.startswith("nvidia.com/") else [resource]
    return [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in dict.fromkeys(keys)]


def spot_tolerations() -> list[Data]:
    """The taints of machines that can be taken away: by custom those of their labels."""
    return [{"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"} for key, value in SPOT]


def on_spot(demands: Sequence[Sequence[Data]]) -> list[list[Data]]:
    """Demands of which one must hold, each with one of the labels of machines that can be taken away."""
    spot: list[Data] = [{"key": key, "operator": "In", "values": [value]} for key, value in SPOT]
    return [[*demand, each] for demand in (demands or [()]) for each in spot]


def is_chosen(asked: KubernetesExecutor, resource: str, *, spot: bool) -> bool:
    """Whether machines are chosen beyond what devices and spot capacity bring with them."""
    known = {each["key"] for each in device_tolerations(resource)} if resource else set()
    known |= _SPOT_KEYS if spot else set()
    terms = [
        each
        for each in asked.node_affinity
        if not (spot and len(each.match_expressions) == 1 and each.match_expressions[0].key in _SPOT_KEYS)
    ]
    strange = [each for each in asked.tolerations if each.key not in known]
    return bool(asked.node_selector or strange or terms or asked.pod_affinity)
