"""Twins: a pipeline file and the same pipeline in the KFP DSL compile to the same IR, but for names the SDK chose."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ir
from orchestrator.pipeline import load

CORPUS = Path(__file__).parent.parent / "corpus"
COMPONENTS = CORPUS / "components"
TWINS = sorted(path.parent for path in CORPUS.glob("*/twin.py"))
MARKS = ("pipeline", "app.kubernetes.io/managed-by")
GROUP = re.compile(r"(condition|condition-branches|for-loop|exit-handler)-\d+")

# All twins in one process: importing the SDK takes longer than compiling them.
COMPILE = """
import importlib.util, sys
from pathlib import Path
from kfp import compiler
sys.path.insert(0, sys.argv[1])
for path in sys.argv[3:]:
    spec = importlib.util.spec_from_file_location("twin", path)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    compiler.Compiler().compile(twin.pipeline, str(Path(sys.argv[2], Path(path).parent.name + ".yaml")))
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every twin as the SDK compiles it."""
    folder = tmp_path_factory.mktemp("twins")
    twins = [str(case / "twin.py") for case in TWINS]
    command = [sys.executable, "-W", "ignore", "-c", COMPILE, str(COMPONENTS), str(folder), *twins]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", TWINS, ids=lambda case: case.name)
def test_compiles_to_what_the_sdk_makes_of_its_twin(case: Path, compiled: Path) -> None:
    ours = load.pipeline(case / "pipeline.yaml", [COMPONENTS])
    theirs = ir.read(compiled / f"{case.name}.yaml")
    assert shown(canonical(ours.spec, ours.platform)) == shown(canonical(*theirs))


def shown(value: Any) -> str:
    """As text, whose differences pytest tells line by line; 3 and 3.0 are one number to protobuf."""

    def plain(value: Any) -> Any:
        match value:
            case bool():
                return value
            case int():
                return float(value)
            case list() | tuple():
                return [plain(each) for each in value]
            case dict():
                return {key: plain(each) for key, each in value.items()}
        return value

    return json.dumps(plain(value), indent=1, sort_keys=True)


def canonical(spec: ir.spec.PipelineSpec, platform: ir.platform.PlatformSpec) -> Any:
    """The IR with components and executors written out where they are used, and groups called by what they hold."""
    data = ir.to_data(spec)
    kubernetes = ir.to_data(platform).get("platforms", {}).get("kubernetes", {})
    settings = kubernetes.get("deploymentSpec", {}).get("executors", {})
    executors = data.get("deploymentSpec", {}).get("executors", {})

    def inlined(component: dict[str, Any]) -> dict[str, Any]:
        component = dict(component)
        if label := component.pop("executorLabel", None):
            executor = json.loads(json.dumps(executors[label]))
            executor.get("container", {}).get("env", []).sort(key=lambda each: each["name"])
            return component | {"executor": executor, "kubernetes": unmarked(settings.get(label, {}))}
        tasks = {}
        for name, task in component["dag"]["tasks"].items():
            used = inlined(data["components"][task["componentRef"]["name"]])
            if "args" in used.get("executor", {}).get("container", {}):
                used["executor"]["container"]["args"] = settled(used["executor"]["container"]["args"], task)
            tasks[name] = {**stated(task, used), "componentRef": used}
        return component | {"dag": component["dag"] | {"tasks": tasks}}

    root = scope(inlined(data["root"]))
    return {"root": root, "info": data["pipelineInfo"], "schema": data["schemaVersion"]}


def stated(task: dict[str, Any], used: dict[str, Any]) -> dict[str, Any]:
    """A task with the defaults of its component as its own inputs: we say them, the SDK leaves them to the server."""
    declared = used.get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: each["defaultValue"] for name, each in declared.items() if "defaultValue" in each}
    if not defaults:
        return task
    inputs = task.get("inputs", {})
    said = {name: {"runtimeValue": {"constant": value}} for name, value in defaults.items()}
    return {**task, "inputs": {**inputs, "parameters": {**said, **inputs.get("parameters", {})}}}


def unmarked(settings: dict[str, Any]) -> dict[str, Any] | None:
    """Without the labels that we give every pod, which a twin would have to repeat at each of its tasks."""
    metadata = dict(settings.get("podMetadata", {}))
    kept = {key: value for key, value in metadata.pop("labels", {}).items() if key not in MARKS}
    metadata |= {"labels": kept} if kept else {}
    bare = {key: value for key, value in settings.items() if key != "podMetadata"}
    return {**bare, **({"podMetadata": metadata} if metadata else {})} or None


def settled(args: list[str], task: dict[str, Any]) -> list[str]:
    """Arguments as they are with the inputs this task is given: we leave out what the SDK has the server find out."""
    given = {name for kind in task.get("inputs", {}).values() for name in kind}
    words: list[str] = []
    for word in args:
        asked = json.loads(word)["IfPresent"] if word.startswith('{"IfPresent"') else None
        if asked is None:
            words.append(word)
        elif asked["InputName"] in given:
            words += asked["Then"]
    return words


def is_group(name: str, task: dict[str, Any]) -> bool:
    return bool(GROUP.fullmatch(name)) and "dag" in task["componentRef"]


def scope(component: dict[str, Any]) -> dict[str, Any]:
    """One pipeline's DAG with its groups; pipelines within it are scopes of their own."""
    names: dict[str, str] = {}

    def collect(dag: dict[str, Any]) -> list[str]:
        leaves = []
        for name, task in dag["tasks"].items():
            if is_group(name, task):
                inner = collect(task["componentRef"]["dag"])
                names[name] = f"{GROUP.fullmatch(name)[1]}[{','.join(sorted(inner))}]"  # type: ignore[index]
                leaves += inner
            elif "importer" in task["componentRef"].get("executor", {}):
                uri = json.dumps([task["componentRef"]["executor"], task["inputs"]], sort_keys=True)
                names[name] = f"imported{sum(uri.encode()) % 9973}"
            else:
                leaves.append(name)
        return leaves

    collect(component["dag"])
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){name}(?!\w)" for name in longest) or "(?!)"

    def rename(value: Any) -> Any:
        match value:
            case str():
                text = re.sub(r"loop-item-param-\d+", "loop-item-param", value)
                text = re.sub(f"({pattern})", lambda match: names[match[1]], text)
                # The SDK says twice where a value comes from that went through a group.
                text = re.sub(r"pipelinechannel--[^']*pipelinechannel--", "pipelinechannel--", text)
                return re.sub(r"-oneof-\d+", "-oneof", text)
            case list():
                return [rename(each) for each in value]
            case dict():
                return {rename(key): rename(each) for key, each in value.items()}
        return value

    def finish(component: dict[str, Any]) -> dict[str, Any]:
        tasks = {}
        for name, task in component["dag"]["tasks"].items():
            used = task["componentRef"]
            if is_group(name, task):
                used = finish(used)
            elif "dag" in used:
                used = scope(used)
            bare = {key: value for key, value in task.items() if key != "componentRef"}
            renamed = rename(bare)
            if "dependentTasks" in renamed:
                renamed["dependentTasks"] = sorted(renamed["dependentTasks"])
            tasks[rename(name)] = renamed | {"componentRef": used}
        rest = {key: value for key, value in component.items() if key != "dag"}
        outputs = {"outputs": rename(component["dag"]["outputs"])} if "outputs" in component["dag"] else {}
        return rename(rest) | {"dag": {"tasks": tasks, **outputs}}

    return finish(component)
