"""What a component that starts work elsewhere is told of its own task: a parameter of KFP's type TASK_CONFIG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator import ir
from orchestrator.ir.platform import KubernetesExecutor
from orchestrator.ir.spec import Component, Container, Resources, TaskInputParameter
from orchestrator.runners.cel import text as as_text
from orchestrator.runners.local import asked, placeholders
from orchestrator.runners.local.asked import Asked, Volume
from orchestrator.stores.artifacts import Values

Filled = Callable[[TaskInputParameter], Any]
"""The value a parameter has for a task; None when nothing gave it one."""

_FIELDS = (
    "RESOURCES",
    "ENV",
    "KUBERNETES_AFFINITY",
    "KUBERNETES_TOLERATIONS",
    "KUBERNETES_NODE_SELECTOR",
    "KUBERNETES_VOLUMES",
)
"""What can be passed through, in the order of the proto's numbers, which begin at 1."""


def parameters(component: Component) -> list[str]:
    """The parameters of a component that are told the configuration of its task."""
    declared = component.input_definitions.parameters.items()
    return [name for name, each in declared if each.parameter_type == "TASK_CONFIG"]


def applied(container: Container, component: Component) -> Container:
    """A container without what is passed through to other work and not applied to the task itself."""
    withheld = {name for name, applies in _passed(component).items() if not applies}
    changes: dict[str, Any] = {}
    if "ENV" in withheld:
        changes["env"] = ()
    if "RESOURCES" in withheld:
        changes["resources"] = None
    return container.model_copy(update=changes) if changes else container


def applied_pod(found: Asked, component: Component) -> Asked:
    """What a task asks of its pod, without what is passed through to other work alone."""
    withheld = {name for name, applies in _passed(component).items() if not applies}
    if "ENV" in withheld:
        found = replace(found, variables=(), fields=())
    return replace(found, volumes=()) if "KUBERNETES_VOLUMES" in withheld else found


def told(
    container: Container,
    component: Component,
    kubernetes: KubernetesExecutor,
    given: Values,
    *,
    names: Mapping[str, str],
    filled: Filled,
) -> Values:
    """What a task is given, with its configuration among it where the component asks for it."""
    wanted = parameters(component)
    if not wanted:
        return given
    passed = _passed(component)
    found = asked.read(kubernetes, lambda source: as_text(filled(source) or ""))

    def text(template: str) -> str:
        return str(placeholders.fill(template, given.parameters, names))

    config = {
        "affinity": _affinity(kubernetes, filled) if "KUBERNETES_AFFINITY" in passed else None,
        "tolerations": _tolerations(kubernetes, filled) if "KUBERNETES_TOLERATIONS" in passed else None,
        "nodeSelector": _node_selector(kubernetes, filled) if "KUBERNETES_NODE_SELECTOR" in passed else None,
        "env": _env(container, found, text) if "ENV" in passed else None,
        "volumes": None,
        "volumeMounts": None,
        "resources": _resources(container.resources, text) if "RESOURCES" in passed else {},
    }
    if "KUBERNETES_VOLUMES" in passed and found.volumes:
        named = [(f"volume-{number}", each) for number, each in enumerate(found.volumes)]
        config["volumes"] = [{"name": name, **_volume(each)} for name, each in named]
        config["volumeMounts"] = [_mount(name, each) for name, each in named]
    return Values({**given.parameters, **dict.fromkeys(wanted, config)}, given.artifacts)


def _passed(component: Component) -> dict[str, bool]:
    """The fields a component has passed through, each with whether it applies to the task too."""
    passed: dict[str, bool] = {}
    for each in component.task_config_passthroughs:
        found = each.get("field") if isinstance(each, Mapping) else None
        if isinstance(found, int | float) and 1 <= found <= len(_FIELDS):
            found = _FIELDS[int(found) - 1]
        if isinstance(found, str):
            passed[found] = bool(each.get("applyToTask"))
    return passed


def _env(container: Container, found: Asked, text: Callable[[str], str]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = [{"name": each.name, "value": text(each.value)} for each in container.env]
    for each in found.variables:
        source = "secretKeyRef" if each.kind == asked.SECRET else "configMapKeyRef"
        listed.append({"name": each.name, "valueFrom": {source: {"name": each.holder, "key": each.key}}})
    return listed + [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in found.fields]


def _resources(resources: Resources | None, text: Callable[[str], str]) -> dict[str, dict[str, str]]:
    if resources is None:
        return {}
    limits = {
        "cpu": text(resources.resource_cpu_limit) or _old(resources.cpu_limit),
        "memory": text(resources.resource_memory_limit) or _old(resources.memory_limit, "G"),
    }
    requests = {
        "cpu": text(resources.resource_cpu_request) or _old(resources.cpu_request),
        "memory": text(resources.resource_memory_request) or _old(resources.memory_request, "G"),
    }
    wanted = resources.accelerator
    if wanted:
        limits[text(wanted.resource_type) or wanted.type or "nvidia.com/gpu"] = text(wanted.resource_count) or str(
            wanted.count
        )
    found = {"limits": _said(limits), "requests": _said(requests)}
    return {name: each for name, each in found.items() if each}


def _old(number: float, unit: str = "") -> str:
    """The numeric fields of old files: cores, and units of 10^9 bytes."""
    return f"{number:g}{unit}" if number else ""


def _said(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: each for name, each in texts.items() if each}


def _volume(volume: Volume) -> dict[str, Any]:
    optional = {"optional": True} if volume.optional else {}
    match volume.kind:
        case asked.CLAIM:
            return {"persistentVolumeClaim": {"claimName": volume.name}}
        case asked.SECRET:
            return {"secret": {"secretName": volume.name, **optional}}
        case asked.CONFIG_MAP:
            return {"configMap": {"name": volume.name, **optional}}
        case _:
            return {"emptyDir": {}}


def _mount(name: str, volume: Volume) -> dict[str, str]:
    return _said({"name": name, "mountPath": volume.path, "subPath": volume.sub_path})


def _node_selector(kubernetes: KubernetesExecutor, filled: Filled) -> Any:
    selector = kubernetes.node_selector
    if selector is None:
        return None
    return filled(selector.node_selector_json) if selector.node_selector_json else dict(selector.labels)


def _tolerations(kubernetes: KubernetesExecutor, filled: Filled) -> list[Any] | None:
    listed: list[Any] = []
    for each in kubernetes.tolerations:
        if each.toleration_json is None:
            listed.append(ir.to_data(each))
            continue
        value = filled(each.toleration_json)
        listed += value if isinstance(value, list) else [value] if value else []
    return listed or None


def _affinity(kubernetes: KubernetesExecutor, filled: Filled) -> Any:
    required: list[Any] = []
    preferred: list[Any] = []
    for each in kubernetes.node_affinity:
        if each.node_affinity_json:
            return {"nodeAffinity": filled(each.node_affinity_json)}
        data = ir.to_data(each)
        weight = data.pop("weight", None)
        (required if weight is None else preferred).append(
            data if weight is None else {"weight": weight, "preference": data}
        )
    return {"nodeAffinity": dict(_scheduling(required, preferred))} if required or preferred else None


def _scheduling(required: list[Any], preferred: list[Any]) -> Iterator[tuple[str, Any]]:
    if required:
        yield "requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": required}
    if preferred:
        yield "preferredDuringSchedulingIgnoredDuringExecution", preferred
