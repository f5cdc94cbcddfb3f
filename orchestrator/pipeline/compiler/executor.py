"""What runs a task: the container of its component with the task's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.pipeline import arguments, component, quantity, spec
from orchestrator.pipeline.compiler import kubernetes
from orchestrator.pipeline.component import Component, Container, Input, Output
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.machine import Resources

Data = dict[str, Any]


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
    env = {**before, **kubernetes.variables(task), **component.plain(task.env)}
    args = list(arguments.settled(body.args, given)) if body.by_convention else list(body.args)
    found: Data = {
        "image": body.image,
        **({"command": list(body.command)} if body.command else {}),
        **({"args": args} if args else {}),
        **({"env": [{"name": name, "value": value} for name, value in sorted(env.items())]} if env else {}),
        **body.rest,
    }
    resources = {**found.get("resources", {}), **_resources(task.resources or Resources())}
    return {**found, **({"resources": resources} if resources else {})}


def _resources(resources: Resources) -> Data:
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


def policies(task: spec.Task) -> Data:
    """How a task is cached and tried again: said at the task, not at its executor."""
    cache = task.cache or spec.Cache()
    options: Data = {"enableCache": True} if cache.enabled else {}
    found: Data = {"cachingOptions": {**options, **({"cacheKey": cache.key} if cache.key else {})}}
    retry = kubernetes.retry(task)
    if retry and retry.attempts > 1:
        found["retryPolicy"] = {
            "maxRetryCount": retry.attempts - 1,
            "backoffDuration": f"{retry.backoff}s",
            "backoffFactor": retry.factor,
            "backoffMaxDuration": f"{retry.max}s",
        }
    return found


def body(used: Component) -> Container:
    """The container of a component that is one program."""
    if not isinstance(used.body, Container):
        raise TypeError(f"component {used.name!r} is no program but {type(used.body).__name__}")
    return used.body
