"""Pipelines written as IR, whose tasks are a line of Python each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from orchestrator import ir
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec

GATE = """
import json, os, sys
told = json.loads(sys.argv[1]); said = told["inputs"]["parameterValues"]["said"]
place = told["outputs"]["artifacts"]["decision"]["artifacts"][0]
about = {"decision": said, "reason": "f1 = 0.8"}
os.makedirs(os.path.dirname(told["outputs"]["outputFile"]), exist_ok=True)
open(told["outputs"]["outputFile"], "w").write(json.dumps(
    {"artifacts": {"decision": {"artifacts": [{**place, "metadata": about}]}}}))
from urllib.parse import urlsplit
open(sys.argv[2], "w").write(json.dumps(about))
print(said + ": f1 = 0.8")
"""


def pipeline(*tasks: Mapping[str, Any], name: str = "specimen") -> tuple[PipelineSpec, PlatformSpec]:
    """A pipeline of tasks, each with `name`, and `code` (a line of Python) or `said` (of a gate)."""
    text = yaml.safe_dump(
        {
            "pipelineInfo": {"name": name, "description": "A specimen."},
            "schemaVersion": "2.1.0",
            "root": {
                "dag": {"tasks": {task["name"]: _task(task) for task in tasks}},
                "inputDefinitions": {
                    "parameters": {"word": {"parameterType": "STRING", "defaultValue": "hello", "isOptional": True}}
                },
            },
            "components": {f"comp-{task['name']}": _component(task) for task in tasks},
            "deploymentSpec": {"executors": {f"exec-{task['name']}": _executor(task) for task in tasks}},
        }
    )
    return ir.load(text)


def task(name: str, code: str = "pass", after: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """A task that runs a line of Python."""
    return {"name": name, "code": code, "after": list(after), **more}


def gate(name: str, said: str) -> dict[str, Any]:
    """A task that decides."""
    return {"name": name, "said": said, "after": []}


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {"said": {"runtimeValue": {"constant": task["said"]}}} if "said" in task else {}
    if "word" in task:
        inputs["word"] = {"componentInputParameter": "word"}
    return {
        "taskInfo": {"name": task["name"]},
        "componentRef": {"name": f"comp-{task['name']}"},
        "dependentTasks": task["after"],
        "cachingOptions": {"enableCache": bool(task.get("cache"))},
        **({"inputs": {"parameters": inputs}} if inputs else {}),
        **({"retryPolicy": {"maxRetryCount": task["retry"], "backoffDuration": "0s"}} if "retry" in task else {}),
        **({"triggerPolicy": {"condition": task["when"]}} if "when" in task else {}),
    }


def _component(task: Mapping[str, Any]) -> dict[str, Any]:
    declared: dict[str, Any] = {"executorLabel": f"exec-{task['name']}"}
    if "said" in task:
        kind = {"schemaTitle": "orchestrator.Decision", "schemaVersion": "0.0.1"}
        declared["inputDefinitions"] = {"parameters": {"said": {"parameterType": "STRING"}}}
        declared["outputDefinitions"] = {"artifacts": {"decision": {"artifactType": kind}}}
    if "word" in task:
        declared["inputDefinitions"] = {"parameters": {"word": {"parameterType": "STRING"}}}
    return declared


def _executor(task: Mapping[str, Any]) -> dict[str, Any]:
    command = ["python", "-S", "-c", GATE if "said" in task else f"import os, sys, time; {task['code']}"]
    args = ["{{$}}", "{{$.outputs.artifacts['decision'].path}}"] if "said" in task else []
    return {"container": {"image": "example/specimen", "command": command, "args": args}}
