"""What a run is given, typed by the pipeline's own declarations."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.ir.spec import Dag, InputParameter, PipelineSpec

_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")
WORDS: Mapping[str, str] = {
    "NUMBER_DOUBLE": "a number",
    "NUMBER_INTEGER": "a whole number",
    "STRING": "text",
    "BOOLEAN": "true or false",
    "LIST": "a list, as JSON",
    "STRUCT": "a mapping, as JSON",
}


def from_text(pipeline: PipelineSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a command line, each read as its parameter's type. Raises PipelineError with every problem."""
    declared = pipeline.root.input_definitions.parameters
    artifacts = pipeline.root.input_definitions.artifacts
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, text in given.items():
        if _PASSWORD.search(text):
            hint = "credentials come from the environment, where no log and no record shows them"
            problems.append(Problem(_place(name), "the value holds a password", hint))
        elif name in artifacts:
            values[name] = _uris(text) if artifacts[name].is_artifact_list else text
        elif name not in declared:
            hint = did_you_mean(name, [*declared, *artifacts])
            problems.append(Problem(_place(name), f"the pipeline has no parameter {name!r}", hint))
        else:
            try:
                values[name] = _read(text, declared[name])
            except (ValueError, RecursionError):
                wanted = WORDS.get(declared[name].parameter_type, "a value")
                problems.append(Problem(_place(name), f"expected {wanted}, not {text!r}"))
    if problems:
        raise PipelineError(problems)
    return values


def complete(pipeline: PipelineSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults filled in, each checked. Raises PipelineError with every problem."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, declared in pipeline.root.input_definitions.parameters.items():
        if name not in given:
            if declared.default_value is not None:
                values[name] = cast(declared.default_value, declared.parameter_type)
            elif not declared.is_optional:
                hint = f"give it with --arg {name}=VALUE"
                problems.append(Problem(_place(name), f"the parameter {name!r} has no default and no value", hint))
            continue
        value = cast(given[name], declared.parameter_type)
        if not fits(value, declared.parameter_type):
            wanted = WORDS.get(declared.parameter_type, "a value")
            problems.append(Problem(_place(name), f"expected {wanted}, not {value!r}"))
        elif declared.literals and value not in declared.literals:
            known = ", ".join(map(repr, declared.literals))
            problems.append(Problem(_place(name), f"{value!r} is not one of {known}"))
        values[name] = value
    for name, artifact in pipeline.root.input_definitions.artifacts.items():
        if name in given:
            values[name] = given[name]
        elif not artifact.is_optional:
            hint = f"give its file or URI with --arg {name}=URI"
            problems.append(Problem(_place(name), f"the pipeline needs the artifact {name!r}", hint))
    if problems:
        raise PipelineError(problems)
    return values


def listed(given: Any) -> list[str]:
    """The URIs given for an artifact: one, or those of a list."""
    return given if isinstance(given, list) else [given]


def uris(pipeline: PipelineSpec) -> frozenset[str]:
    """The parameters of a pipeline that become the URI of an artifact: a relative one is a path."""
    found: set[str] = set()

    def visit(dag: Dag, origin: Mapping[str, str], around: tuple[str, ...]) -> None:
        for task in dag.tasks.values():
            component = pipeline.components.get(task.component_ref.name)
            if component is None or task.component_ref.name in around:
                continue  # What is wrong with either is told where the pipeline is run.
            passed = {
                name: origin[source.component_input_parameter]
                for name, source in task.inputs.parameters.items()
                if source.component_input_parameter in origin
            }
            if component.dag:
                visit(component.dag, passed, (*around, task.component_ref.name))
            executor = pipeline.deployment_spec.executors.get(component.executor_label)
            if executor and executor.importer:
                found.add(passed.get(executor.importer.artifact_uri.runtime_parameter, ""))

    if pipeline.root.dag:
        visit(pipeline.root.dag, {name: name for name in pipeline.root.input_definitions.parameters}, ())
    return frozenset(found - {""})


def cast(value: Any, kind: str) -> Any:
    """A value as its parameter type wants it: numbers lose or gain their point; what does not fit stays as it is.

    Inside lists and mappings every whole number loses its point, as on the way through KFP's server: a compiled file
    says `[1.0, 2.0]` where its author wrote `[1, 2]`.
    """
    if kind in ("LIST", "STRUCT"):
        return _whole(value)
    if kind == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "NUMBER_DOUBLE" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def fits(value: Any, kind: str) -> bool:
    """Whether a value is of a parameter type."""
    match kind:
        case "NUMBER_DOUBLE":
            return isinstance(value, float)
        case "NUMBER_INTEGER":
            return isinstance(value, int) and not isinstance(value, bool)
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "LIST":
            return isinstance(value, list)
        case "STRUCT" | "TASK_FINAL_STATUS":
            return isinstance(value, dict)
        case _:
            return True


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return value


def _uris(text: str) -> list[str]:
    """A list of artifacts, as one URI or a JSON list of them."""
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, list) and all(isinstance(each, str) for each in found) else [text]


def _read(text: str, declared: InputParameter) -> Any:
    if declared.parameter_type == "STRING":
        return text
    if declared.parameter_type == "BOOLEAN" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    value = cast(json.loads(text), declared.parameter_type)
    if not fits(value, declared.parameter_type) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(text)
    return value


def _place(name: str) -> Location:
    return Location(f"--arg {name}")
