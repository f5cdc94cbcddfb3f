"""Where values come from and go to, as the IR says: inputs, the outputs behind them, and the names inside texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.ir import texts
from orchestrator.ir.spec import Component, Dag, Task

Output = tuple[str, str]
"""`parameter` or `artifact`, and its name."""
_NAMED = re.compile(r"\{\{\$\.inputs\.(?:parameters|artifacts)\[\\?['\"]([^'\"\\]+)\\?['\"]\]")


def written(task: Task) -> int | None:
    """How many items a loop has that are written in the pipeline itself."""
    try:
        items = json.loads(task.parameter_iterator.items.raw) if task.parameter_iterator else None
    except ValueError:
        return None
    return len(items) if isinstance(items, list) else None


def given_items(tasks: Sequence[Task], arguments: Mapping[str, Any]) -> int | None:
    """How many items the last of these tasks loops over, each in a group made by the one before, if arguments say."""
    iterator = tasks[-1].parameter_iterator
    name = iterator.items.input_parameter if iterator else ""
    for task in reversed(tasks):
        given = task.inputs.parameters.get(name)
        if given is None or given.parameter_expression_selector or not given.component_input_parameter:
            return None
        name = given.component_input_parameter
    value = arguments.get(name)
    return len(value) if isinstance(value, list) else None


def source(task: Task, name: str) -> tuple[str, tuple[str, Output] | None]:
    """Where an input comes from: the name of an input of the DAG around, or a task beside and its output."""
    if parameter := task.inputs.parameters.get(name):
        value, produced = parameter.runtime_value, parameter.task_output_parameter
        outer = parameter.component_input_parameter or (value.runtime_parameter if value else "")
        made = (produced.producer_task, ("parameter", produced.output_parameter_key)) if produced else None
        return outer, made
    if artifact := task.inputs.artifacts.get(name):
        given = artifact.task_output_artifact
        made = (given.producer_task, ("artifact", given.output_artifact_key)) if given else None
        return artifact.component_input_artifact, made
    return "", None


def is_optional(component: Component, name: str) -> bool:
    """Whether a component does without an input."""
    definitions = component.input_definitions
    if parameter := definitions.parameters.get(name):
        return parameter.is_optional or parameter.default_value is not None
    return name in definitions.artifacts and definitions.artifacts[name].is_optional


def sources(dag: Dag, output: Output) -> Iterator[tuple[str, Output]]:
    """The tasks of a DAG that may give one of its outputs."""
    kind, name = output
    if dag.outputs is None:
        return
    if kind == "parameter" and (parameter := dag.outputs.parameters.get(name)):
        one = parameter.value_from_parameter
        several = parameter.value_from_oneof.parameter_selectors if parameter.value_from_oneof else ()
        for selector in several or ([one] if one else []):
            yield selector.producer_subtask, (kind, selector.output_parameter_key)
    if kind == "artifact" and (artifact := dag.outputs.artifacts.get(name)):
        for choice in artifact.artifact_selectors:
            yield choice.producer_subtask, (kind, choice.output_artifact_key)


def with_named(task: Task, names: Iterable[str]) -> Iterator[str]:
    """Inputs of a task, and those that the text of its constants names."""
    todo, seen = list(names), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        parameter = task.inputs.parameters.get(name)
        if parameter and parameter.runtime_value:
            todo += _NAMED.findall(" ".join(texts.inside(parameter.runtime_value.constant)))


def named_by(task: Task, name: str) -> str:
    """The input as its author knows it: of a value that stands inside a text, the input that holds the text."""
    for other, parameter in task.inputs.parameters.items():
        if parameter.runtime_value and name in _NAMED.findall(" ".join(texts.inside(parameter.runtime_value.constant))):
            return other
    return name
