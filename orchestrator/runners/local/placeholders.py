"""KFP's placeholders: `{{$...}}` in text, and IfPresent and Concat in argument lists. All of it pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import RunError
from orchestrator.runners.cel import text as as_text

MOUNT = "/kfp-workspace"
"""Where the workspace of a run lies in a cluster: its SDK lets components write this path."""

WORKSPACE = "{{$.workspace_path}}"
NO_WORKSPACE = (
    "the pipeline has no workspace: give it one with"
    " pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size='1Gi'))"
)

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}")
_ESCAPED = re.compile(r"\.json_escape\[(?P<times>[0-9])\]$")
_REFERENCE = re.compile(
    r"\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts)\[(?P<quote>['\"])(?P<name>.+?)(?P=quote)\]"
    r"(?:\.(?P<part>uri|path|name|metadata|properties|output_file)(?P<keys>(?:\[(?:'.+?'|\".+?\")\])*))?"
)
# Not inside a longer path, nor after what another path may end with.
_MOUNT = re.compile(r"(?<![\w./~$})\]-])" + MOUNT + r"(?![\w.-])")
_KEY = re.compile(r"\[(['\"])(.+?)\1\]")
_OURS = (".inputs", ".outputs", ".pipeline_", ".workspace_path", ".json_escape")


@dataclass(frozen=True, slots=True)
class Context:
    """What placeholders can stand for: the task's ExecutorInput, and names of the run."""

    executor_input: Mapping[str, Any]
    paths: Mapping[str, str]
    """`inputs.NAME` and `outputs.NAME` -> the local path of an artifact."""
    names: Mapping[str, str] = field(default_factory=dict)
    """`pipeline_job_name` and its like -> text."""


def names(
    run: str, pipeline: str, task: str, task_uuid: str, *, root: str, created: str, workspace: str = ""
) -> dict[str, str]:
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
        **({"workspace_path": workspace} if workspace else {}),
    }


def fill(value: Any, parameters: Mapping[str, Any], known: Mapping[str, str]) -> Any:
    """An argument with the placeholders inside its texts replaced: those of parameters and of the run's names."""
    if isinstance(value, str):
        return _replaced(value, lambda match: _filled(match, parameters, known), known)
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
    """Text with every placeholder resolved. Raises RunError for one that stands for nothing.

    What does not look like one of KFP's is left alone, as a program's own templates may.
    """
    return _replaced(template, lambda match: _resolved(match[1], match[0], context), context.names)


def _replaced(template: str, resolve: Callable[[re.Match[str]], str], known: Mapping[str, str]) -> str:
    """Text with what stands in it replaced once: what is put in is never looked at again."""
    workspace = known.get("workspace_path")
    if workspace and MOUNT in template:
        return workspace.join(_PLACEHOLDER.sub(resolve, part) for part in _MOUNT.split(template))
    return _PLACEHOLDER.sub(resolve, template) if "{{$" in template else template


def _filled(match: re.Match[str], parameters: Mapping[str, Any], known: Mapping[str, str]) -> str:
    expression, times = _unescaped(match[1])
    reference = _REFERENCE.fullmatch(expression)
    if reference and reference["side"] == "inputs" and reference["kind"] == "parameters":
        name = reference["name"]
        return _escaped(as_text(parameters[name]), times) if name in parameters else match[0]
    if expression == ".workspace_path" and "workspace_path" not in known:
        raise RunError(f"it asks for {WORKSPACE}, and {NO_WORKSPACE}")
    name = expression.removeprefix(".")
    return _escaped(known[name], times) if name in known else match[0]


def _resolved(expression: str, whole: str, context: Context) -> str:
    expression, times = _unescaped(expression)
    return _escaped(_plain(expression, whole, context), times)


def _plain(expression: str, whole: str, context: Context) -> str:
    if not expression:
        return json.dumps(context.executor_input, ensure_ascii=False)
    if expression in (".outputs.output_file", ".outputMetadataUri"):
        return str(context.executor_input["outputs"]["outputFile"])
    known = context.names.get(expression.removeprefix("."))
    if known is not None:
        return known
    if expression == ".workspace_path":
        raise RunError(f"it asks for {WORKSPACE}, and {NO_WORKSPACE}")
    reference = _REFERENCE.fullmatch(expression)
    if reference is None:
        if expression.startswith(_OURS):
            raise RunError(f"the placeholder {whole} is not known")
        return whole
    side, name = reference["side"], reference["name"]
    if reference["kind"] == "parameters":
        return _parameter(side, name, whole, context)
    return _artifact(reference, side, name, whole, context)


def _artifact(reference: re.Match[str], side: str, name: str, whole: str, context: Context) -> str:
    found = context.executor_input[side].get("artifacts", {}).get(name)
    if found is not None and reference["part"] is None:
        return json.dumps(found["artifacts"], ensure_ascii=False)
    if not found or not found["artifacts"]:
        raise RunError(f"the placeholder {whole} names an artifact that the task does not have")
    first = found["artifacts"][0]
    match reference["part"]:
        case "path":
            return context.paths[f"{side}.{name}"]
        case "metadata" | "properties":
            value = first.get("metadata", {})
            for key in _KEY.findall(reference["keys"]):
                if not isinstance(value, Mapping) or key[1] not in value:
                    raise RunError(f"the placeholder {whole} names metadata that the artifact does not have")
                value = value[key[1]]
            return as_text(value)
        case part:
            return str(first.get(part, ""))


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


def _unescaped(expression: str) -> tuple[str, int]:
    """An expression without Vertex AI's `.json_escape[1]`, and how often the value is escaped."""
    found = _ESCAPED.search(expression)
    return (expression[: found.start()], int(found["times"])) if found else (expression, 0)


def _escaped(value: str, times: int) -> str:
    """Text as it stands between the quotes of a JSON text."""
    for _ in range(times):
        value = json.dumps(value, ensure_ascii=False)[1:-1]
    return value


def _structure(part: str) -> Mapping[str, Any] | None:
    if not part.startswith("{") or ("IfPresent" not in part and "Concat" not in part):
        return None
    try:
        parsed = json.loads(part)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) and len(parsed) == 1 and set(parsed) <= {"IfPresent", "Concat"} else None


def _expanded(value: Any, context: Context) -> list[str]:
    match value:
        case None:
            return []
        case str():
            return [text(value, context)]
        case bool() | int() | float():
            return [as_text(value)]
        case list():
            return [word for each in value for word in _expanded(each, context)]
        case {"Concat": list() as parts}:
            return ["".join(word for each in parts for word in _expanded(each, context))]
        case {"IfPresent": {"InputName": str() as name, "Then": then, **rest}}:
            inputs = context.executor_input["inputs"]
            present = name in inputs.get("parameterValues", {}) or name in inputs.get("artifacts", {})
            return _expanded(then if present else rest.get("Else"), context)
    raise RunError(f"{json.dumps(value)[:200]} is neither text nor an IfPresent nor a Concat as KFP has them")
