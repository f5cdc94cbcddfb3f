"""The files of this machine that a pipeline names, and the pipeline with other names for them. Pure but for looking."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.ir.spec import Component, Dag, InputParameter, PipelineSpec, RuntimeValue, Task
from orchestrator.stores.artifacts import is_remote, local_path

Rename = Callable[[str], str]


def named(pipeline: PipelineSpec, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What importers are given that is a path of this machine, as it is written, each once."""
    found: dict[str, None] = {}

    def note(uri: str) -> str:
        found[uri] = None
        return uri

    renamed(pipeline, arguments, note)
    return tuple(found)


def renamed(
    pipeline: PipelineSpec, arguments: Mapping[str, Any], rename: Rename
) -> tuple[PipelineSpec, dict[str, Any]]:
    """The pipeline and its arguments with each path of this machine as `rename` has it."""
    taking = _taking(pipeline)
    components = {name: _component(each, taking.get(name, frozenset()), taking, rename)
                  for name, each in pipeline.components.items()}  # fmt: skip
    executors = {
        label: each.model_copy(
            update={
                "importer": each.importer.model_copy(
                    update={"artifact_uri": _constant(each.importer.artifact_uri, rename)}
                )
            }
        )
        if each.importer
        else each
        for label, each in pipeline.deployment_spec.executors.items()
    }
    root = _component(pipeline.root, taking[""], taking, rename)
    given = {
        name: _value(value, rename) if name in taking[""] or name in root.input_definitions.artifacts else value
        for name, value in arguments.items()
    }
    changed = {
        "components": components,
        "root": root,
        "deployment_spec": pipeline.deployment_spec.model_copy(update={"executors": executors}),
    }
    return pipeline.model_copy(update=changed), given


def path(written: str, base: Path) -> Path:
    """Where a file lies that is written so."""
    return base / local_path(written)


def is_local(written: str) -> bool:
    """Whether it is a path of this machine, rather than a URI or a text that is not filled in yet."""
    return bool(written) and not is_remote(written) and "{{" not in written


def _taking(pipeline: PipelineSpec) -> Mapping[str, frozenset[str]]:
    """By the name of a component, the parameters it takes that become the URI of an artifact; of the root by ""."""
    found: dict[str, frozenset[str]] = {"": frozenset()}
    for name, component in pipeline.components.items():
        executor = pipeline.deployment_spec.executors.get(component.executor_label)
        uri = executor.importer.artifact_uri.runtime_parameter if executor and executor.importer else ""
        found[name] = frozenset({uri} - {""})
    # What a pipeline inside hands on is known only once what it hands it to is; each round knows one level more.
    while True:
        now = {
            name: found[name] | _handed_on(component.dag, found)
            for name, component in (("", pipeline.root), *pipeline.components.items())
        }
        if now == found:
            return found
        found = now


def _handed_on(dag: Dag | None, taking: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The parameters of a DAG that its tasks are given as URIs."""
    tasks = dag.tasks.values() if dag else ()
    sources = (task.inputs.parameters.get(name) for task in tasks for name in _uris(task, taking))
    return frozenset({source.component_input_parameter for source in sources if source} - {""})


def _uris(task: Task, taking: Mapping[str, frozenset[str]]) -> Iterable[str]:
    """The inputs of a task that are URIs, or lists of them that it is repeated for."""
    names = taking.get(task.component_ref.name, frozenset())
    iterator = task.parameter_iterator
    if iterator and iterator.item_input in names and iterator.items.input_parameter:
        return names | {iterator.items.input_parameter}
    return names


def _component(
    component: Component, names: frozenset[str], taking: Mapping[str, frozenset[str]], rename: Rename
) -> Component:
    declared = component.input_definitions
    parameters = {
        name: _declared(each, rename) if name in names else each for name, each in declared.parameters.items()
    }
    changed: dict[str, Any] = {"input_definitions": declared.model_copy(update={"parameters": parameters})}
    if component.dag:
        tasks = {key: _task(task, taking, rename) for key, task in component.dag.tasks.items()}
        changed["dag"] = component.dag.model_copy(update={"tasks": tasks})
    return component.model_copy(update=changed)


def _declared(parameter: InputParameter, rename: Rename) -> InputParameter:
    default = _value(parameter.default_value, rename)
    literals = tuple(_value(each, rename) for each in parameter.literals)
    return parameter.model_copy(update={"default_value": default, "literals": literals})


def _task(task: Task, taking: Mapping[str, frozenset[str]], rename: Rename) -> Task:
    names = frozenset(_uris(task, taking))
    if not names:
        return task
    parameters = {
        name: each.model_copy(update={"runtime_value": _constant(each.runtime_value, rename)})
        if name in names and each.runtime_value
        else each
        for name, each in task.inputs.parameters.items()
    }
    changed: dict[str, Any] = {"inputs": task.inputs.model_copy(update={"parameters": parameters})}
    iterator = task.parameter_iterator
    if iterator and iterator.item_input in names and iterator.items.raw:
        raw = json.dumps(_value(json.loads(iterator.items.raw), rename))
        items = iterator.items.model_copy(update={"raw": raw})
        changed["parameter_iterator"] = iterator.model_copy(update={"items": items})
    return task.model_copy(update=changed)


def _constant(value: RuntimeValue, rename: Rename) -> RuntimeValue:
    return value.model_copy(update={"constant": _value(value.constant, rename)})


def _value(value: Any, rename: Rename) -> Any:
    if isinstance(value, list):
        return [_value(each, rename) for each in value]
    return rename(value) if isinstance(value, str) and is_local(value) else value
