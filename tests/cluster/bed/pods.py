"""What Kubeflow Pipelines makes of an executor: its pod. Pure; the fields are those that our files can ask for.

KFP's driver does this on a cluster that has it; here it is done for the scheduler, admission and the kubelet to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.ir.platform import KubernetesExecutor, NodeAffinityTerm, SelectorRequirement, Toleration
from orchestrator.runners.local.containers.limits import Limits

Manifest = dict[str, Any]
# What the Pod Security level "restricted" demands of a container, and more: a file system that stays as it is.
RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Program:
    """What a pod runs."""

    image: str
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] | None = None
    folder: str | None = None


@dataclass(frozen=True)
class Volume:
    """A volume, and where it is mounted."""

    source: Manifest
    path: str
    read_only: bool = False
    sub_path: str = ""


def pod(
    name: str,
    program: Program,
    limits: Limits,
    asked: KubernetesExecutor,
    *,
    account: str = "default",
    labels: Mapping[str, str] | None = None,
    volumes: Sequence[Volume] = (),
) -> Manifest:
    """The pod of a task: `asked` is what the platform document says of its executor."""
    listed = [*_volumes(asked), *volumes]
    metadata = asked.pod_metadata
    container: Manifest = {
        "name": "main",
        "image": program.image,
        "command": list(program.command),
        "args": list(program.arguments),
        "env": [*({"name": key, "value": value} for key, value in (program.variables or {}).items()), *_env(asked)],
        "resources": _resources(limits),
        "securityContext": {**RESTRICTED, **_user(asked)},
        "volumeMounts": [_mount(number, each) for number, each in enumerate(listed)],
    }
    container |= {"workingDir": program.folder} if program.folder else {}
    container |= {"imagePullPolicy": asked.image_pull_policy} if asked.image_pull_policy else {}
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": account,
        "containers": [container],
        "volumes": [{"name": f"volume-{number}", **each.source} for number, each in enumerate(listed)],
        "tolerations": [_toleration(each) for each in asked.tolerations],
        "imagePullSecrets": [{"name": each.secret_name} for each in asked.image_pull_secret],
    }
    spec |= {"nodeSelector": dict(asked.node_selector.labels)} if asked.node_selector else {}
    spec |= {"affinity": {"nodeAffinity": wanted}} if (wanted := _affinity(asked.node_affinity)) else {}
    told = {**(metadata.labels if metadata else {}), **(labels or {})}
    annotations = dict(metadata.annotations) if metadata else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": told, "annotations": annotations},
        "spec": spec,
    }


def _resources(limits: Limits) -> Manifest:
    found = {"cpu": limits.cpu, "memory": limits.memory}
    found |= {limits.accelerator: limits.count} if limits.accelerator else {}
    return {"limits": {name: value for name, value in found.items() if value}}


def _user(asked: KubernetesExecutor) -> Manifest:
    context = asked.security_context
    if context is None:
        return {}
    found = {"runAsUser": context.run_as_user, "runAsGroup": context.run_as_group}
    return {name: int(value) for name, value in found.items() if value is not None}


def _env(asked: KubernetesExecutor) -> Iterator[Manifest]:
    for secret in asked.secret_as_env:
        for key in secret.key_to_env:
            source = {"name": secret.secret_name, "key": key.secret_key, "optional": bool(secret.optional)}
            yield {"name": key.env_var, "valueFrom": {"secretKeyRef": source}}
    for held in asked.config_map_as_env:
        for key in held.key_to_env:
            source = {"name": held.config_map_name, "key": key.config_map_key, "optional": bool(held.optional)}
            yield {"name": key.env_var, "valueFrom": {"configMapKeyRef": source}}
    for field in asked.field_path_as_env:
        yield {"name": field.name, "valueFrom": {"fieldRef": {"fieldPath": field.field_path}}}


def _volumes(asked: KubernetesExecutor) -> Iterator[Volume]:
    for secret in asked.secret_as_volume:
        source = {"secretName": secret.secret_name, "optional": bool(secret.optional)}
        yield Volume({"secret": source}, secret.mount_path, read_only=True)
    for held in asked.config_map_as_volume:
        source = {"name": held.config_map_name, "optional": bool(held.optional)}
        yield Volume({"configMap": source}, held.mount_path, read_only=True)
    for claim in asked.pvc_mount:
        yield Volume(
            {"persistentVolumeClaim": {"claimName": claim.constant}}, claim.mount_path, sub_path=claim.sub_path
        )
    for empty in asked.empty_dir_mounts:
        told = {"medium": empty.medium, "sizeLimit": empty.size_limit}
        yield Volume({"emptyDir": {name: value for name, value in told.items() if value}}, empty.mount_path)


def _mount(number: int, volume: Volume) -> Manifest:
    told: Manifest = {"name": f"volume-{number}", "mountPath": volume.path, "readOnly": volume.read_only}
    return {**told, "subPath": volume.sub_path} if volume.sub_path else told


def _toleration(asked: Toleration) -> Manifest:
    told = {"key": asked.key, "operator": asked.operator, "value": asked.value, "effect": asked.effect}
    found: Manifest = {name: value for name, value in told.items() if value}
    return found | ({"tolerationSeconds": int(asked.toleration_seconds)} if asked.toleration_seconds else {})


def _affinity(terms: Sequence[NodeAffinityTerm]) -> Manifest:
    demanded = [_term(each) for each in terms if each.weight is None]
    wanted = [{"weight": each.weight, "preference": _term(each)} for each in terms if each.weight is not None]
    found: Manifest = {}
    if demanded:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": demanded}
    if wanted:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = wanted
    return found


def _term(asked: NodeAffinityTerm) -> Manifest:
    def listed(row: Sequence[SelectorRequirement]) -> list[Manifest]:
        return [{"key": each.key, "operator": each.operator, "values": list(each.values)} for each in row]

    found = {"matchExpressions": listed(asked.match_expressions), "matchFields": listed(asked.match_fields)}
    return {name: value for name, value in found.items() if value}
