"""What platforms add to the container of a task: Kubernetes settings as kfp-kubernetes writes them, and our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.ir import placement
from orchestrator.pipeline import component, spec
from orchestrator.pipeline.component import Container
from orchestrator.pipeline.machine import Placement, Resources
from orchestrator.pipeline.pod import Checkpoints, Volume

Data = dict[str, Any]
CHECKPOINTS = "ORC_CHECKPOINTS"
"""The variable that names the folder for what a task has done so far."""
_CHECKPOINTS_PATH = "/checkpoints"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  Where programs look for shared memory.
_LABEL = 63
_EVICTED = spec.Retry(attempts=3, backoff=30)
"""How a task is tried again whose machine may be taken away, when it does not say so itself."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What every pod of a pipeline carries."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def merged(self, outer: Marks) -> Marks:
        """These with those of the pipeline that runs, which has the last word: costs are its owner's."""
        return Marks({**self.labels, **outer.labels}, {**self.annotations, **outer.annotations})


def marks(metadata: spec.Metadata) -> Marks:
    """What a pipeline file says of all its pods, and by which name its costs are found."""
    # A label is shorter than a pipeline's name may be.
    own = {"pipeline": metadata.name[:_LABEL].rstrip("-"), "app.kubernetes.io/managed-by": "orchestrator"}
    return Marks({**own, **metadata.labels}, metadata.annotations)


def of(body: Container, task: spec.Task, at: Marks, place: str) -> Data:
    """What kfp-kubernetes would write for a task; `place` is a folder that no other task has."""
    resources, chosen = task.resources or Resources(), task.placement or Placement()
    found = _without(body.platform, task.env)
    for key, listed in component.environment(task.env).items():
        found[key] = [*found.get(key, []), *listed]
    for key, mounts in _volumes(_mounted(body, task), resources, checkpoints(task), place).items():
        found[key] = [*found.get(key, []), *mounts]
    found.update(_placement(chosen, resources))
    found.update(_image(task))
    if context := task.security_context or body.security:
        found["securityContext"] = _numbers(context, "runAsUser", "runAsGroup")
    if task.timeout is not None:
        found["activeDeadlineSeconds"] = str(task.timeout)
    priority = {placement.PRIORITY: chosen.priority} if chosen.priority else {}
    labels = {**at.labels, **task.labels, **priority}
    return marked(found, Marks(labels, {**at.annotations, **task.annotations}))


def marked(platform: Mapping[str, Any], given: Marks) -> Data:
    """A platform's part with labels and annotations on the pod."""
    before = platform.get("podMetadata", {})
    labels = {**before.get("labels", {}), **given.labels}
    annotations = {**before.get("annotations", {}), **given.annotations}
    pairs = {"labels": labels, "annotations": annotations}
    metadata = {**before, **{key: each for key, each in pairs.items() if each}}
    return {**platform, **({"podMetadata": metadata} if metadata else {})}


def ours(task: spec.Task) -> Data:
    """What neither KFP nor kfp-kubernetes has a word for."""
    found: Data = {}
    if task.cache and task.cache.ttl is not None:
        found["cacheTtl"] = f"{task.cache.ttl}s"
    if task.placement and task.placement.spot:
        found["spot"] = True
    if checkpoints(task):
        found["checkpoints"] = _CHECKPOINTS_PATH
    return found


def config(pipeline: spec.Pipeline) -> Data:
    """How long a run may take, and how long it is kept."""
    found: Data = {}
    if pipeline.timeout:
        found["activeDeadlineSeconds"] = pipeline.timeout
    if pipeline.ttl:
        for end in ("completion", "success", "failure"):
            if seconds := getattr(pipeline.ttl, end):
                found[f"resourceTtlOn{end.capitalize()}"] = seconds
    return found


def retry(task: spec.Task) -> spec.Retry | None:
    """How a task is tried again: a machine that is taken away is no fault of its program."""
    if task.retry is None and task.placement and task.placement.spot:
        return _EVICTED
    return task.retry


def variables(task: spec.Task) -> dict[str, str]:
    """Variables that tell the program what it has been given."""
    return {CHECKPOINTS: _CHECKPOINTS_PATH} if checkpoints(task) else {}


def checkpoints(task: spec.Task) -> Checkpoints | None:
    """The claim for what the task has done so far, if it wants one."""
    return task.checkpoints if task.checkpoints and task.checkpoints.enabled else None


def _without(platform: Mapping[str, Any], env: Mapping[str, Any]) -> Data:
    """What a component asks for, but for the variables its task has a value of its own for."""
    found = dict(platform)
    for key in ("secretAsEnv", "configMapAsEnv", "fieldPathAsEnv"):
        if key not in found:
            continue
        entries = []
        for entry in found.pop(key):
            pairs = [pair for pair in entry.get("keyToEnv", []) if pair["envVar"] not in env]
            if pairs:
                entries.append({**entry, "keyToEnv": pairs})
            elif "keyToEnv" not in entry and entry.get("name") not in env:
                entries.append(entry)
        if entries:
            found[key] = entries
    return found


def _mounted(body: Container, task: spec.Task) -> list[Volume]:
    """The volumes of a component, but for those at a path where the task has one of its own; and the task's."""
    own = {volume.path.rstrip("/") for volume in task.volumes}
    own |= {_SHARED_MEMORY} if task.resources and task.resources.shared_memory else set()
    own |= {_CHECKPOINTS_PATH} if checkpoints(task) else set()
    return [*(volume for volume in body.volumes if volume.path.rstrip("/") not in own), *task.volumes]


def _volumes(volumes: Sequence[Volume], resources: Resources, kept: Checkpoints | None, place: str) -> Data:
    found: dict[str, list[Data]] = {}
    for index, volume in enumerate(volumes, start=1):
        if volume.pvc is not None:
            found.setdefault("pvcMount", []).append(_claim(volume.pvc, volume.path, volume.sub_path or ""))
        elif volume.empty_dir is not None:
            scratch: Data = {"volumeName": f"scratch-{index}", "mountPath": volume.path}
            scratch |= {"medium": volume.empty_dir.medium} if volume.empty_dir.medium else {}
            scratch |= {"sizeLimit": volume.empty_dir.size} if volume.empty_dir.size else {}
            found.setdefault("emptyDirMounts", []).append(scratch)
        for kind, name in (("secret", volume.secret), ("configMap", volume.config_map)):
            if name is not None:
                mount = {"mountPath": volume.path, "optional": volume.optional, **component.named(kind, name)}
                found.setdefault(f"{kind}AsVolume", []).append(mount)
    if kept:
        found.setdefault("pvcMount", []).append(_claim(kept.pvc, _CHECKPOINTS_PATH, place))
    if resources.shared_memory:
        memory = {"volumeName": "shared-memory", "mountPath": _SHARED_MEMORY, "medium": "Memory"}
        found.setdefault("emptyDirMounts", []).append({**memory, "sizeLimit": resources.shared_memory})
    return found


def _claim(name: str, path: str, inside: str) -> Data:
    mount: Data = {"constant": name, "mountPath": path, "pvcNameParameter": {"runtimeValue": {"constant": name}}}
    return {**mount, **({"subPath": inside} if inside else {})}


def _placement(chosen: Placement, resources: Resources) -> Data:
    found: Data = {}
    labels = dict(chosen.node_selector)
    device = resources.accelerator
    if device and device.product:
        labels.setdefault(placement.product_label(device.type), device.product)
    if labels:
        found["nodeSelector"] = {"labels": labels}
    tolerations = [_numbers(each, "tolerationSeconds") for each in chosen.tolerations]
    if device and "tolerations" not in chosen.model_fields_set:
        tolerations += placement.device_tolerations(device.type)
    tolerations += placement.spot_tolerations() if chosen.spot else []
    if tolerations:
        found["tolerations"] = tolerations
    affinity = _affinity(chosen)
    if affinity:
        found["nodeAffinity"] = affinity
    return found


def _affinity(chosen: Placement) -> list[Data]:
    """Terms without a weight are demands of which Kubernetes wants one to hold: spot capacity is added to each."""
    terms = [_numbers(each) for each in chosen.affinity]
    if not chosen.spot:
        return terms
    demands = [each["matchExpressions"] for each in terms if "weight" not in each]
    wishes = [each for each in terms if "weight" in each]
    return [*({"matchExpressions": each} for each in placement.on_spot(demands)), *wishes]


def _image(task: spec.Task) -> Data:
    found: Data = {}
    if task.image_pull_policy:
        found["imagePullPolicy"] = task.image_pull_policy
    if task.image_pull_secrets:
        found["imagePullSecret"] = [component.named("secret", name) for name in task.image_pull_secrets]
    return found


def _numbers(each: Any, *names: str) -> Data:
    """A value as KFP writes it; a 64-bit number is text in protobuf's JSON."""
    data: Data = each.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    return {**data, **{name: str(data[name]) for name in names if name in data}}
