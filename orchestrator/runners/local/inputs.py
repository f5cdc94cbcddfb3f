"""What a task is given: its inputs taken from where the IR says, typed, with selectors and text filled in. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.spec import Component, Dag, Task, TaskInputParameter
from orchestrator.runners import cel
from orchestrator.runners.arguments import WORDS, cast, fits
from orchestrator.runners.local import placeholders
from orchestrator.runners.syntax import CelError
from orchestrator.stores.artifacts import Artifact, Values

_LONGEST = 300  # Letters of a condition that a reason repeats.


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a task can see from its place in a DAG."""

    given: Values
    """The inputs of the DAG the task is in."""
    loops: Mapping[str, Any]
    """The items of the loops around it, by the name each loop gives its own."""
    outputs: Mapping[str, Values]
    """The outputs of the tasks of that DAG which ran."""
    final_status: Callable[[str], Mapping[str, Any]]
    """The final status of a task of that DAG."""
    names: Mapping[str, str]
    """Placeholders of the run."""


class MissingInputError(Exception):
    """A required input whose producer did not run."""


def resolve(task: Task, component: Component, around: Surroundings) -> Values:
    """A task's inputs. Raises MissingInputError when a producer gave nothing, RunError when a value does not fit."""
    definitions = component.input_definitions
    raw: dict[str, Any] = {}
    for name, source in task.inputs.parameters.items():
        found = _parameter(source, around)
        if found is not _ABSENT:
            raw[name] = _selected(source, found, name)
    # Only what the pipeline's author wrote has placeholders in it; what a task or a user gave is data.
    parameters = {
        name: placeholders.fill(value, raw, around.names) if _is_constant(task.inputs.parameters[name]) else value
        for name, value in raw.items()
    }
    for name, declared in definitions.parameters.items():
        # A value that is absent where it could have been falls back to the component's own default.
        if parameters.get(name) is None and declared.default_value is not None:
            parameters[name] = declared.default_value
        elif name in task.inputs.parameters and name not in parameters and not declared.is_optional:
            _refuse(name, _is_from_dag(task.inputs.parameters[name]), component)
    return Values(_typed(parameters, component), _artifacts(task, component, around))


def items(task: Task, given: Values) -> list[Any]:
    """The items a task iterates over. Raises RunError when they are not a list."""
    if task.artifact_iterator:
        name = task.artifact_iterator.items.input_artifact
        if name not in given.artifacts:
            raise RunError(f"it loops over the artifacts {name!r}, and was given none")
        return list(given.artifacts[name])
    if task.parameter_iterator is None:
        raise RunError("the task has no iterator")
    listed = task.parameter_iterator.items
    value = listed.raw or given.parameters.get(listed.input_parameter)
    if isinstance(value, str):
        # KFP passes lists through text now and then: an output of type STRING that holds JSON.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        raise RunError(f"it loops over {listed.input_parameter or listed.raw!r}, which is not a list")
    return value


def with_item(task: Task, component: Component, given: Values, item: Any) -> Values:
    """The inputs of one iteration, its item as the component's input of that name is typed."""
    if task.artifact_iterator:
        return Values(given.parameters, {**given.artifacts, task.artifact_iterator.item_input: (item,)})
    assert task.parameter_iterator is not None  # noqa: S101  Callers iterate only over tasks with an iterator.
    name = task.parameter_iterator.item_input
    declared = component.input_definitions.parameters.get(name)
    typed = _as(item, declared.parameter_type, component) if declared else item
    return Values({**given.parameters, name: typed}, given.artifacts)


def dag_outputs(dag: Dag, outputs: Mapping[str, Values]) -> Values:
    """What a DAG gives: selected from its tasks' outputs; of alternatives, the first that ran."""
    if dag.outputs is None:
        return Values()
    parameters: dict[str, Any] = {}
    for name, parameter in dag.outputs.parameters.items():
        chosen = (
            parameter.value_from_oneof.parameter_selectors
            if parameter.value_from_oneof
            else [parameter.value_from_parameter]
        )
        for selector in chosen:
            values = outputs.get(selector.producer_subtask) if selector else None
            if selector and values and selector.output_parameter_key in values.parameters:
                parameters[name] = values.parameters[selector.output_parameter_key]
                break
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for name, artifact in dag.outputs.artifacts.items():
        for choice in artifact.artifact_selectors:
            values = outputs.get(choice.producer_subtask)
            if values and choice.output_artifact_key in values.artifacts:
                artifacts[name] = values.artifacts[choice.output_artifact_key]
                break
    return Values(parameters, artifacts)


def collected(outputs: list[Values | None], component: Component) -> Values:
    """The outputs of a loop: parameters as lists in order of the iterations, artifacts in one row."""
    ran = [values for values in outputs if values is not None]
    parameters = dict.fromkeys([*component.output_definitions.parameters, *(n for v in ran for n in v.parameters)])
    artifacts = dict.fromkeys([*component.output_definitions.artifacts, *(n for v in ran for n in v.artifacts)])
    return Values(
        {name: [values.parameters[name] for values in ran if name in values.parameters] for name in parameters},
        {name: tuple(each for values in ran for each in values.artifacts.get(name, ())) for name in artifacts},
    )


def conditional(condition: str, task: Task, component: Component, given: Values) -> bool:
    """Whether a condition over a task's inputs is true. Raises RunError with text and values if it has no truth."""
    artifacts = {name: _listed(listed) for name, listed in given.artifacts.items()}
    # An optional parameter that was left empty is null, as KFP's server has it.
    parameters = {**dict.fromkeys(task.inputs.parameters), **given.parameters}
    for name, declared in component.input_definitions.parameters.items():
        if declared.parameter_type == "STRING" and parameters.get(name) is not None:
            parameters[name] = cel.text(parameters[name])
    variables = {"inputs": {"parameter_values": parameters, "parameters": parameters, "artifacts": artifacts}}
    try:
        return cel.condition(condition, variables)
    except CelError as error:
        shown = ", ".join(f"{name} = {json.dumps(value, default=str)[:80]}" for name, value in parameters.items())
        told = condition if len(condition) <= _LONGEST else f"{condition[:_LONGEST]} ..."
        raise RunError(f"the condition `{told}` {error}" + (f" (with {shown})" if shown else "")) from error


_ABSENT = object()
_FIELD = "-subvar-"


def _listed(listed: tuple[Artifact, ...]) -> dict[Any, Any]:
    """Artifacts as a condition sees them: `inputs.artifacts['m'].artifacts[0]`, or `inputs.artifacts['m'][0]`."""
    told = [
        {
            "name": each.name,
            "uri": each.uri,
            "type": {"schema_title": each.type},
            **{key: dict(each.metadata) for key in ("metadata", "properties", "custom_properties")},
        }
        for each in listed
    ]
    return {"artifacts": told, **dict(enumerate(told))}


def _refuse(name: str, is_from_dag: bool, component: Component) -> None:
    """Say what it means that a required input has no value."""
    if not is_from_dag:
        raise MissingInputError(name)
    # The SDK declares every input of a group it makes as required; whether it is, the tasks inside know.
    if component.dag is None:
        raise RunError(f"it needs its input {name!r}, and the pipeline was given none to pass on")


def _is_from_dag(source: TaskInputParameter) -> bool:
    return bool(source.component_input_parameter or (source.runtime_value and source.runtime_value.runtime_parameter))


def _is_constant(source: TaskInputParameter) -> bool:
    return source.runtime_value is not None and not source.runtime_value.runtime_parameter


def _parameter(source: TaskInputParameter, around: Surroundings) -> Any:
    if source.task_output_parameter:
        produced = around.outputs.get(source.task_output_parameter.producer_task)
        key = source.task_output_parameter.output_parameter_key
        return produced.parameters.get(key, _ABSENT) if produced else _ABSENT
    if source.component_input_parameter:
        return _from_dag(source.component_input_parameter, around)
    if source.task_final_status:
        return around.final_status(source.task_final_status.producer_task)
    value = source.runtime_value
    if value is None:
        return _ABSENT
    if value.runtime_parameter:
        return around.given.parameters.get(value.runtime_parameter, _ABSENT)
    if value.constant_value is not None:
        kind, constant = next(iter(value.constant_value.items()))
        return int(constant) if kind == "intValue" else constant  # As 64 bits, it is text in protobuf's JSON.
    return value.constant


def _from_dag(name: str, around: Surroundings) -> Any:
    """An input of the DAG. In loops in loops the SDK names inputs that it never passes: an item of a loop further out,
    and a field of one; the name then says what is meant."""
    seen = {**around.loops, **around.given.parameters} if around.loops else around.given.parameters
    if name in seen or _FIELD not in name:
        return seen.get(name, _ABSENT)
    item, _, field = name.rpartition(_FIELD)
    value = seen.get(item)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _ABSENT
    return value.get(field, _ABSENT) if isinstance(value, Mapping) else _ABSENT


def _selected(source: TaskInputParameter, value: Any, name: str) -> Any:
    if not source.parameter_expression_selector:
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        return cel.evaluate(source.parameter_expression_selector, {"string_value": text})
    except CelError as error:
        message = f"input {name!r}: the selector `{source.parameter_expression_selector}` {error}"
        raise RunError(message) from error


def _typed(parameters: Mapping[str, Any], component: Component) -> dict[str, Any]:
    definitions = component.input_definitions
    typed: dict[str, Any] = {}
    for name, given in parameters.items():
        declared = definitions.parameters.get(name)
        if declared is None or given is None:
            typed[name] = given
            continue
        value = _as(given, declared.parameter_type, component)
        if not fits(value, declared.parameter_type) and not (component.dag and declared.parameter_type == "STRING"):
            wanted = WORDS.get(declared.parameter_type, declared.parameter_type).removesuffix(", as JSON")
            raise RunError(f"input {name!r} wants {wanted}, and was given {value!r:.80}")
        if declared.literals and value not in declared.literals:
            known = ", ".join(map(repr, declared.literals))
            raise RunError(f"input {name!r} was given {value!r:.80}, which is not one of {known}")
        typed[name] = value
    # An optional input given nothing is absent, as KFP's executor has it.
    return {name: value for name, value in typed.items() if value is not None}


def _as(value: Any, kind: str, component: Component) -> Any:
    """A value as a type wants it. Whatever a text is given becomes text, but not on its way into a DAG: the SDK calls
    every item of an untyped list a text, and a task inside may want the number it is."""
    cast_ = cast(value, kind)
    if kind == "STRING" and not isinstance(cast_, str) and component.dag is None:
        return cel.text(cast_)
    return cast_


def _artifacts(task: Task, component: Component, around: Surroundings) -> dict[str, tuple[Artifact, ...]]:
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for name, source in task.inputs.artifacts.items():
        if source.task_output_artifact:
            produced = around.outputs.get(source.task_output_artifact.producer_task)
            found = produced.artifacts.get(source.task_output_artifact.output_artifact_key) if produced else None
        else:
            found = around.given.artifacts.get(source.component_input_artifact)
        declared = component.input_definitions.artifacts.get(name)
        if found is not None:
            artifacts[name] = found
        elif declared is None or not declared.is_optional:
            _refuse(name, bool(source.component_input_artifact), component)
    return artifacts
