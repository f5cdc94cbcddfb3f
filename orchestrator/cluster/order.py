"""The order in which objects need each other: places before what is in them, settings before who uses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.cluster.objects import Manifest

_ORDER = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("PriorityClass", "StorageClass", "RuntimeClass", "IngressClass", "DeviceClass"),
    ("ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget"),
    ("ServiceAccount",),
    ("ClusterRole", "Role"),
    ("ClusterRoleBinding", "RoleBinding"),
    ("Secret", "ConfigMap"),
    ("PersistentVolume", "PersistentVolumeClaim"),
    ("APIService", "Service"),
    ("Pod", "ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"),
    ("HorizontalPodAutoscaler", "Ingress"),
)
_RANKS = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_CUSTOM = len(_ORDER)
# Ours to be used by others of theirs: a runtime is there before the service that names it.
_RUNTIMES = ("ClusterServingRuntime", "ServingRuntime", "Issuer", "ClusterIssuer", "Pipeline")
_LAST = (
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicyBinding",
)


def sorted_to_apply(objects: Iterable[Manifest]) -> list[Manifest]:
    """The objects, what others need first; those of one rank stay as they were written."""
    return sorted(objects, key=_rank)


def sorted_to_delete(objects: Sequence[Manifest]) -> list[Manifest]:
    """What was made last first."""
    return sorted_to_apply(objects)[::-1]


def is_custom(manifest: Manifest) -> bool:
    """Whether an object is of a kind that an operator looks after."""
    return _CUSTOM <= _rank(manifest) < _CUSTOM + 2


def _rank(manifest: Manifest) -> int:
    kind = str(manifest.get("kind", ""))
    if kind in _LAST:  # They judge what comes after them, and what serves them must run.
        return _CUSTOM + 2
    if kind in _RUNTIMES:
        return _CUSTOM
    return _RANKS.get(kind, _CUSTOM + 1)


def definition_of(objects: Iterable[Manifest], manifest: Manifest) -> Manifest | None:
    """The definition among `objects` that makes the kind of an object known."""
    group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
    for each in objects:
        if each.get("kind") != "CustomResourceDefinition":
            continue
        spec = each.get("spec") or {}
        names = spec.get("names") or {}
        served = [one.get("name") for one in spec.get("versions") or ()]
        if (spec.get("group"), names.get("kind")) == (group, manifest.get("kind")) and version in served:
            return each
    return None
