"""KFP's placeholders: `{{$...}}` in text, and IfPresent and Concat in argument lists. All of it pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import RunError
from orchestrator.runners.cel import text as as_text

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}")
_REFERENCE = re.compile(
    r"\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts)\['(?P<name>.+?)'\]"
    r"(?:\.(?P<part>uri|path|name|metadata|properties|output_file)(?:\['(?P<key>.+?)'\])?)?"
)


@dataclass(frozen=True, slots=True)
class Context:
    """What placeholders can stand for: the task's ExecutorInput, and names of the run."""

    executor_input: Mapping[str, Any]
    paths: Mapping[str, str]
    """`inputs.NAME` and `outputs.NAME` -> the local path of an artifact."""
    names: Mapping[str, str] = field(default_factory=dict)
    """`pipeline_job_name` and its like -> text."""


def names(run: str, pipeline: str, task: str, task_uuid: str, *, root: str, created: str) -> dict[str, str]:
    """The placeholders that name the run and the task; times are ISO 8601 in UTC."""
    return {
        "pipeline_job_name": run,
        "pipeline_job_resource_name": run,
        "pipeline_job_uuid": run,
        "pipeline_name": pipeline,
        "pipeline_task_name": task,
        "pipeline_task_uuid": task_uuid,
        "pipeline_job_create_time_utc": created,
        "pipeline_job_schedule_time_utc": created,
        "pipeline_root": root,
    }


def fill(value: Any, parameters: Mapping[str, Any], known: Mapping[str, str]) -> Any:
    """An argument with the placeholders inside its texts replaced: those of parameters and of the run's names."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _filled(match, parameters, known), value) if "{{$" in value else value
    if isinstance(value, Mapping):
        return {key: fill(each, parameters, known) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill(each, parameters, known) for each in value]
    return value


def command(parts: Sequence[str], context: Context) -> list[str]:
    """A command line with every placeholder resolved. Raises RunError for one that stands for nothing."""
    resolved: list[str] = []
    for part in parts:
        structure = _structure(part)
        resolved += [text(part, context)] if structure is None else _expanded(structure, context)
    return resolved


def text(template: str, context: Context) -> str:
    """Text with every placeholder resolved. Raises RunError for one that stands for nothing."""
    if "{{$" not in template:
        return template
    return _PLACEHOLDER.sub(lambda match: _resolved(match[1], match[0], context), template)


def _filled(match: re.Match[str], parameters: Mapping[str, Any], known: Mapping[str, str]) -> str:
    expression = match[1]
    reference = _REFERENCE.fullmatch(expression)
    if reference and reference["side"] == "inputs" and reference["kind"] == "parameters":
        name = reference["name"]
        return as_text(parameters[name]) if name in parameters else match[0]
    return known.get(expression.removeprefix("."), match[0])


def _resolved(expression: str, whole: str, context: Context) -> str:
    if not expression:
        return json.dumps(context.executor_input, ensure_ascii=False)
    if expression in (".outputs.output_file", ".outputMetadataUri"):
        return str(context.executor_input["outputs"]["outputFile"])
    known = context.names.get(expression.removeprefix("."))
    if known is not None:
        return known
    reference = _REFERENCE.fullmatch(expression)
    if reference is None:
        raise RunError(f"the placeholder {whole} is not known")
    side, kind, name = reference["side"], reference["kind"], reference["name"]
    if kind == "parameters":
        return _parameter(side, name, whole, context)
    listed = context.executor_input[side].get("artifacts", {}).get(name, {}).get("artifacts", [])
    if not listed:
        raise RunError(f"the placeholder {whole} names an artifact that the task does not have")
    match reference["part"]:
        case None:
            return json.dumps(listed, ensure_ascii=False)
        case "path":
            return context.paths[f"{side}.{name}"]
        case "metadata" | "properties":
            metadata = listed[0].get("metadata", {})
            key = reference["key"]
            if key and key not in metadata:
                raise RunError(f"the placeholder {whole} names metadata that the artifact does not have")
            return as_text(metadata[key] if key else metadata)
        case part:
            return str(listed[0].get(part, ""))


def _parameter(side: str, name: str, whole: str, context: Context) -> str:
    if side == "outputs":
        declared = context.executor_input["outputs"].get("parameters", {})
        if name in declared:
            return str(declared[name]["outputFile"])
    else:
        values = context.executor_input["inputs"].get("parameterValues", {})
        if name in values:
            return as_text(values[name])
    raise RunError(f"the placeholder {whole} names a parameter that the task does not have")


def _structure(part: str) -> Mapping[str, Any] | None:
    if not part.startswith("{") or ("IfPresent" not in part and "Concat" not in part):
        return None
    try:
        parsed = json.loads(part)
    except json.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) and len(parsed) == 1 and set(parsed) <= {"IfPresent", "Concat"} else None


def _expanded(value: Any, context: Context) -> list[str]:
    if isinstance(value, str):
        return [text(value, context)]
    if isinstance(value, list):
        return [word for each in value for word in _expanded(each, context)]
    if "Concat" in value:
        return ["".join(word for each in value["Concat"] for word in _expanded(each, context))]
    chosen = value["IfPresent"]
    name = chosen["InputName"]
    inputs = context.executor_input["inputs"]
    present = name in inputs.get("parameterValues", {}) or name in inputs.get("artifacts", {})
    return _expanded(chosen["Then"] if present else chosen.get("Else", []), context)
