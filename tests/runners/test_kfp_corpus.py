"""The corpus of KFP pipelines: every feature of the IR, run here, and by `kfp.local` where that is right.

A case is a folder of tests/corpus_kfp: `pipeline.py` in the KFP DSL, or `pipeline.ir.yaml` by hand for what the SDK
cannot write, and `case.yaml` with one document per run, all in one state folder:

    arguments: {x: 3}             as values; the runner is given them as text
    state: SUCCEEDED              of the run
    outputs: {out: 3}             of the run, types included; of an artifact its text, of several a list
    tasks: {double: SUCCEEDED}    every task, and what it came to
    attempts: {double: 2}         how often a task was started, where that is not once or never
    inputs: {double: {a: 1}}      parameters a task was given, types included
    gave: {double: {out: 2}}      output parameters of a task, types included
    reasons: {double: broken}     a part of why a task ended as it did
    reason: broken                a part of why the run did
    error: there is no            instead of all the above: why it is refused before it starts
    at_once: 3                    how many tasks ran side by side, at the most
    warned: item                  a part of a warning
    cache: true                   off unless said
    environment: {ORC_X: y}       settings
    kfp_local: agrees             or what is wrong there (L1 and so on: seen with kfp 2.17), or why it is not asked
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import runs, settings
from orchestrator.errors import OrchestratorError
from orchestrator.runners.events import Event, RunFinished, TaskFinished, TaskStarted, Warned
from orchestrator.stores.artifacts import Values

CORPUS = Path(__file__).parent.parent / "corpus_kfp"
CASES = sorted(path.parent for path in CORPUS.glob("*/case.yaml"))
KEYS = {
    *("arguments", "state", "outputs", "tasks", "attempts", "inputs", "gave", "reasons", "reason", "error", "at_once"),
    *("warned", "cache", "environment", "kfp_local"),
}

# All cases in one process: importing the SDK takes longer than compiling them.
COMPILE = """
import importlib.util, sys, traceback
from pathlib import Path
from kfp import compiler
sys.path.insert(0, sys.argv[1])
for path in map(Path, sys.argv[3:]):
    spec = importlib.util.spec_from_file_location("case", path)
    case = importlib.util.module_from_spec(spec)
    folder = Path(sys.argv[2], path.parent.name)
    folder.mkdir()
    try:
        spec.loader.exec_module(case)
        compiler.Compiler().compile(case.pipeline, str(folder / "pipeline.ir.yaml"))
    except Exception:  # One case that does not compile is one test that fails.
        (folder / "refused.txt").write_text(traceback.format_exc())
"""
KFP_LOCAL = """
import importlib.util, json, sys
from pathlib import Path
from kfp import local
sys.path.insert(0, sys.argv[1])
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2], raise_on_error=True)
came_of = []
for path, arguments in json.loads(sys.argv[3]):
    spec = importlib.util.spec_from_file_location("case", path)
    case = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(case)
    try:
        ran = case.pipeline(**arguments)
        outputs = {name: value for name, value in ran.outputs.items() if not hasattr(value, "uri")}
        came_of.append(["SUCCEEDED", outputs])
    except RuntimeError:  # A task failed.
        came_of.append(["FAILED", {}])
    except Exception as error:
        came_of.append(["refused", repr(error)])
Path(sys.argv[2], "came_of.json").write_text(json.dumps(came_of))
"""


def documents(case: Path) -> list[dict[str, Any]]:
    found = list(yaml.safe_load_all((case / "case.yaml").read_text()))
    assert all(set(each) <= KEYS for each in found), f"{case.name}: {[set(each) - KEYS for each in found]}"
    return found


def in_sdk(code: str, *arguments: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, str(CORPUS), str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for every case: `pipeline.ir.yaml`, and the files beside its pipeline."""
    folder = tmp_path_factory.mktemp("corpus")
    written = [case / "pipeline.py" for case in CASES if (case / "pipeline.py").exists()]
    in_sdk(COMPILE, *map(str, written), folder=folder)
    for case in CASES:
        shutil.copytree(case, folder / case.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_runs_as_kfp_would(case: Path, cold: bool, compiled: Path, tmp_path: Path) -> None:
    refused_by_the_sdk = compiled / case.name / "refused.txt"
    assert not refused_by_the_sdk.exists(), refused_by_the_sdk.read_text()
    for number, expected in enumerate(documents(case), 1):
        environment = {"ORC_STATE": str(tmp_path / "state"), "ORC_WORKERS": "8", **expected.get("environment", {})}
        found = settings.read(environment, tmp_path)
        options = runs.Options(cache=expected.get("cache", False), run=f"run-{number}", cold=cold)
        given = {name: as_text(value) for name, value in expected.get("arguments", {}).items()}
        file = compiled / case.name / "pipeline.ir.yaml"
        if "error" in expected:
            with pytest.raises(OrchestratorError) as refused:
                list(runs.start(file, given, found, options))
            assert expected["error"] in str(refused.value)
            continue
        came = outcome(list(runs.start(file, given, found, options)), expected)
        wanted = shown({name: value for name, value in expected.items() if name in came})
        differing = difflib.unified_diff(wanted, shown(came), "case.yaml", f"run {number}", lineterm="", n=1)
        assert not (told := "\n".join(differing)), told


def test_kfp_local_agrees(tmp_path: Path) -> None:
    asked = [
        (case, expected)
        for case in CASES
        for expected in documents(case)
        if expected.get("kfp_local", documents(case)[0].get("kfp_local")) == "agrees"
    ]
    assert asked
    arguments = [[str(case / "pipeline.py"), expected.get("arguments", {})] for case, expected in asked]
    in_sdk(KFP_LOCAL, json.dumps(arguments), folder=tmp_path)
    came_of = json.loads((tmp_path / "came_of.json").read_text())
    wanted = [[expected["state"], expected.get("outputs", {})] for _, expected in asked]
    named = [case.name for case, _ in asked]
    assert dict(zip(named, came_of, strict=True)) == dict(zip(named, wanted, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_says_how_kfp_local_does(case: Path) -> None:
    assert documents(case)[0].get("kfp_local")


def outcome(events: list[Event], expected: Mapping[str, Any]) -> dict[str, Any]:
    """What a case says of a run, as it came out; where a part of a text is expected and found, that part."""
    end = events[-1]
    assert isinstance(end, RunFinished)
    tasks = {event.task.name: event for event in events if isinstance(event, TaskFinished)}
    paths = {event.task.path for event in events if isinstance(event, TaskFinished)}
    assert len(tasks) == len(paths), paths
    started = [event.task.name for event in events if isinstance(event, TaskStarted)]
    attempts = {name: started.count(name) for name in dict.fromkeys(started)}
    warnings = "; ".join(event.message for event in events if isinstance(event, Warned))
    came: dict[str, Any] = {
        "state": str(end.status),
        "outputs": plain(end.outputs),
        "tasks": {name: str(event.status) for name, event in tasks.items()},
        "attempts": {name: number for name, number in attempts.items() if number > 1},
        "at_once": at_once(events),
        "warned": part(expected.get("warned", ""), warnings),
        "reason": part(expected.get("reason", ""), end.reason),
        "reasons": {
            name: part(text, tasks[name].reason) for name, text in expected.get("reasons", {}).items() if name in tasks
        },
        "inputs": some(expected.get("inputs", {}), {name: event.inputs for name, event in tasks.items()}),
        "gave": some(expected.get("gave", {}), {name: event.outputs for name, event in tasks.items()}),
    }
    always = {"state", "outputs", "tasks", "attempts"}
    wanted = {"outputs": {}, "attempts": {}, **expected}
    return {
        name: value for name, value in came.items() if name in expected or (name in always and value != wanted[name])
    }


def part(expected: str, text: str) -> str:
    return expected if expected in text else text


def some(expected: Mapping[str, Mapping[str, Any]], values: Mapping[str, Values]) -> dict[str, dict[str, Any]]:
    """Of the parameters of tasks those that are asked about."""
    return {
        task: {name: values[task].parameters.get(name) for name in names}
        for task, names in expected.items()
        if task in values
    }


def plain(values: Values) -> dict[str, Any]:
    """Parameters as they are, artifacts as their text."""
    texts = {name: [each.path.read_text() for each in listed] for name, listed in values.artifacts.items()}
    return {**values.parameters, **{name: listed[0] if len(listed) == 1 else listed for name, listed in texts.items()}}


def at_once(events: Iterable[Event]) -> int:
    running: set[str] = set()
    most = 0
    for event in events:
        if isinstance(event, TaskStarted):
            running.add(event.task.path)
        elif isinstance(event, TaskFinished):
            running.discard(event.task.path)
        most = max(most, len(running))
    return most


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def shown(value: Any) -> list[str]:
    """As lines of text, which tell 3 from 3.0."""
    return json.dumps(value, indent=1, sort_keys=True).splitlines()
