"""The kinds of file there are: how each is checked, and its JSON Schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator import ir, source
from orchestrator.cli import wording
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem, did_you_mean
from orchestrator.stores import secrets

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A component is a program; what only it knows, it is asked as one. The package never imports components.
_SCHEMA_PROGRAM = """
import json, sys
from components.validate_schema import schema
print(json.dumps(schema.Schema.model_json_schema(by_alias=True)))
"""
_CHECK_PROGRAM = """
import json, pathlib, sys
from components.validate_schema import schema
from orchestrator.errors import PipelineError
try:
    columns, problems = len(schema.read(pathlib.Path(sys.argv[1])).columns), []
except PipelineError as error:
    columns, problems = 0, [[p.at.file, p.at.line, p.at.column, p.message, p.hint] for p in error.problems]
print(json.dumps({"columns": columns, "problems": problems}))
"""


def check(file: Path) -> str:
    """Check a file with everything it names; what it is, in words. Raises PipelineError."""
    if ir.recognises(file):
        pipeline, _ = ir.read(file)
        return f"compiled pipeline {pipeline.pipeline_info.name}"
    if file.suffix == ".py" or ".py:" in file.name:
        return _python(file)
    if secrets.recognises(file):
        held = secrets.load(file).holders
        named = (f"{secrets.spoken(kind)} {name}" for kind, name in held)
        return ", ".join(named) or "no secret and no config map"
    read = source.read(file)
    kind = read.data.get("kind") if isinstance(read.data, dict) else None
    if kind is None and isinstance(read.data, dict) and "implementation" in read.data:
        return _component(file)  # A component file of KFP has no kind.
    if not isinstance(kind, str) or kind not in _CHECKS:
        place = read.at("kind") if isinstance(read.data, dict) and "kind" in read.data else read.at()
        message = f"unknown kind {kind!r}" if kind else "missing key 'kind'"
        hint = did_you_mean(str(kind), _CHECKS) if kind else f"one of {', '.join(_CHECKS)}"
        raise PipelineError([Problem(place, message, hint)])
    return _CHECKS[kind](file)


def json_schema(kind: str) -> str:
    """The JSON Schema of a kind of file, as text."""
    schema = {"$schema": _DIALECT, **_SCHEMAS[kind]()}
    return json.dumps(schema, indent=2, ensure_ascii=False)


def _pipeline(file: Path) -> str:
    from orchestrator.pipeline import load

    definition = load.pipeline(file).definition
    return f"pipeline {definition.name}, {wording.count(len(definition.uses), 'task')}"


def _python(file: Path) -> str:
    from orchestrator.pipeline import python

    written = python.split(file)
    pipeline, _ = python.compile(*written or (file, ""))
    return f"KFP pipeline {pipeline.pipeline_info.name}"


def _component(file: Path) -> str:
    from orchestrator.pipeline import load

    return f"component {load.component(file).name}"


def _endpoint(file: Path) -> str:
    from orchestrator.serving import endpoint

    return f"endpoint {endpoint.read(file).metadata.name}"


def _lock(file: Path) -> str:
    from orchestrator.images import lock

    held = lock.read(file)
    listed = held.images.values() if held else ()
    far = sum(each.is_pushed for each in listed)
    return f"lock of {wording.count(len(listed), 'image')}, {far} of them in a registry"


def _schema(file: Path) -> str:
    told = _ask(_CHECK_PROGRAM, str(file))
    problems = [Problem(Location(*place), message, hint) for *place, message, hint in told["problems"]]
    if problems:
        raise PipelineError(problems)
    return f"schema of {wording.count(told['columns'], 'column')}"


def _pipeline_schema() -> Mapping[str, Any]:
    from orchestrator.pipeline import schema

    return schema.pipeline()


def _component_schema() -> Mapping[str, Any]:
    from orchestrator.pipeline import schema

    return schema.component()


def _endpoint_schema() -> Mapping[str, Any]:
    from orchestrator.serving import endpoint

    return endpoint.Endpoint.model_json_schema(by_alias=True)


def _schema_schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = _ask(_SCHEMA_PROGRAM)
    return schema


_CHECKS: Mapping[str, Callable[[Path], str]] = {
    "Pipeline": _pipeline,
    "Component": _component,
    "Endpoint": _endpoint,
    "Schema": _schema,
    "Lock": _lock,
}
_SCHEMAS: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "pipeline": _pipeline_schema,
    "component": _component_schema,
    "endpoint": _endpoint_schema,
    "schema": _schema_schema,
}


def _ask(program: str, *arguments: str) -> Any:
    root = str(Path(orchestrator.__file__).resolve().parent.parent)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{program}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise OrchestratorError(f"the component validate_schema cannot be asked: {last}")
    return json.loads(done.stdout)
