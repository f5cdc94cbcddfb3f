"""What runs a task: the container of its component with the task's own settings, and what platforms add to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.pipeline import arguments, component, quantity, spec
from orchestrator.pipeline.component import Component, Container, Input, Output
from orchestrator.pipeline.kinds import Type

Data = dict[str, Any]
_PRODUCT = "nvidia.com/gpu.product"


def interface(inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> Data:
    """The input and output definitions of a component."""
    found: Data = {}
    for name, each in inputs.items():
        kind = "artifacts" if each.type.artifact else "parameters"
        found.setdefault("inputDefinitions", {}).setdefault(kind, {})[name] = _input(each)
    for name, output in outputs.items():
        kind = "artifacts" if output.type.artifact else "parameters"
        entry = {**typed(output.type), **({"description": output.description} if output.description else {})}
        found.setdefault("outputDefinitions", {}).setdefault(kind, {})[name] = entry
    return found


def typed(kind: Type) -> Data:
    """The type of an input or output."""
    if not kind.artifact:
        return {"parameterType": kind.name}
    version = {"schemaVersion": kind.version} if kind.version else {}
    return {
        "artifactType": {"schemaTitle": kind.name, **version},
        **({"isArtifactList": True} if kind.many else {}),
    }


def _input(each: Input) -> Data:
    found = typed(each.type)
    if each.optional:
        found["isOptional"] = True
    if each.default is not None:
        found["defaultValue"] = each.default
    if each.description:
        found["description"] = each.description
    if each.literals:
        found["literals"] = list(each.literals)
    return found


def container(body: Container, task: spec.Task, given: Mapping[str, bool]) -> Data:
    """The container of a task; `given` tells which optional inputs it has, as far as that is known."""
    before = {name: value for name, value in body.env.items() if name not in task.env}
    env = {**before, **component.plain(task.env)}
    args = list(arguments.settled(body.args, given)) if body.by_convention else list(body.args)
    found: Data = {
        "image": body.image,
        **({"command": list(body.command)} if body.command else {}),
        **({"args": args} if args else {}),
        **({"env": [{"name": name, "value": value} for name, value in sorted(env.items())]} if env else {}),
        **body.rest,
    }
    resources = {**found.get("resources", {}), **_resources(task.resources or spec.Resources())}
    return {**found, **({"resources": resources} if resources else {})}


def _resources(resources: spec.Resources) -> Data:
    found: Data = {}
    for kind, number, amount in (
        ("Cpu", quantity.cores, resources.cpu),
        ("Memory", quantity.gigabytes, resources.memory),
    ):
        for end in ("Request", "Limit"):
            value = amount and (amount.both or getattr(amount, end.lower()))
            if value:
                # The text is what counts; servers before KFP 2.4 read only the number beside it, as the SDK knows.
                found[f"resource{kind}{end}"] = str(value)
                found[f"{kind.lower()}{end}"] = number(str(value))
    if resources.accelerator:
        count, name = str(resources.accelerator.count), resources.accelerator.type
        found["accelerator"] = {"resourceType": name, "resourceCount": count, "type": name, "count": count}
    return found


def kubernetes(body: Container, task: spec.Task, labels: Mapping[str, str]) -> Data:
    """What kfp-kubernetes would write for a task."""
    found = _without(body.platform, task.env)
    environment = component.environment(task.env)
    for key in environment:
        found[key] = [*found.get(key, []), *environment[key]]
    own = {volume.path.rstrip("/") for volume in task.volumes}
    kept = [volume for volume in body.volumes if volume.path.rstrip("/") not in own]
    for key, mounts in _volumes([*kept, *task.volumes]).items():
        found[key] = [*found.get(key, []), *mounts]
    found.update(_placement(task.placement or spec.Placement(), task.resources))
    labels = {**labels, **task.labels}
    if labels:
        before = found.get("podMetadata", {})
        found["podMetadata"] = {**before, "labels": {**before.get("labels", {}), **labels}}
    if task.timeout is not None:
        found["activeDeadlineSeconds"] = str(task.timeout)
    return found


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


def _volumes(volumes: list[spec.Volume]) -> Data:
    found: dict[str, list[Data]] = {}
    for index, volume in enumerate(volumes, start=1):
        if volume.pvc is not None:
            mount: Data = {"constant": volume.pvc, "mountPath": volume.path}
            mount["pvcNameParameter"] = {"runtimeValue": {"constant": volume.pvc}}
            found.setdefault("pvcMount", []).append(
                {**mount, **({"subPath": volume.sub_path} if volume.sub_path else {})}
            )
        elif volume.empty_dir is not None:
            mount = {"volumeName": f"scratch-{index}", "mountPath": volume.path}
            mount |= {"medium": volume.empty_dir.medium} if volume.empty_dir.medium else {}
            mount |= {"sizeLimit": volume.empty_dir.size} if volume.empty_dir.size else {}
            found.setdefault("emptyDirMounts", []).append(mount)
        for kind, name in (("secret", volume.secret), ("configMap", volume.config_map)):
            if name is not None:
                mount = {"mountPath": volume.path, "optional": volume.optional, **component.named(kind, name)}
                found.setdefault(f"{kind}AsVolume", []).append(mount)
    return found


def _placement(placement: spec.Placement, resources: spec.Resources | None) -> Data:
    found: Data = {}
    labels = dict(placement.node_selector)
    if resources and resources.accelerator and resources.accelerator.product:
        labels.setdefault(_PRODUCT, resources.accelerator.product)
    if labels:
        found["nodeSelector"] = {"labels": labels}
    if placement.tolerations:
        found["tolerations"] = [_dumped(each) for each in placement.tolerations]
    if placement.affinity:
        found["nodeAffinity"] = [_dumped(each) for each in placement.affinity]
    return found


def _dumped(each: Any) -> Data:
    data: Data = each.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    # A 64-bit number is text in protobuf's JSON.
    seconds = {"tolerationSeconds": str(data["tolerationSeconds"])} if "tolerationSeconds" in data else {}
    return {**data, **seconds}


def ours(task: spec.Task) -> Data:
    """What neither KFP nor kfp-kubernetes has a word for."""
    found: Data = {}
    if task.cache and task.cache.ttl is not None:
        found["cacheTtl"] = f"{task.cache.ttl}s"
    if task.placement and task.placement.spot:
        found["spot"] = True
    return found


def policies(task: spec.Task) -> Data:
    """How a task is cached and tried again: said at the task, not at its executor."""
    cache = task.cache or spec.Cache()
    options: Data = {"enableCache": True} if cache.enabled else {}
    found: Data = {"cachingOptions": {**options, **({"cacheKey": cache.key} if cache.key else {})}}
    if task.retry and task.retry.attempts > 1:
        found["retryPolicy"] = {
            "maxRetryCount": task.retry.attempts - 1,
            "backoffDuration": f"{task.retry.backoff}s",
            "backoffFactor": task.retry.factor,
            "backoffMaxDuration": f"{task.retry.max}s",
        }
    return found


def body(used: Component) -> Container:
    """The container of a component that is one program."""
    if not isinstance(used.body, Container):
        raise TypeError(f"component {used.name!r} is no program but {type(used.body).__name__}")
    return used.body
