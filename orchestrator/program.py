"""The program side of a component: its arguments typed by component.yaml, its outputs, its progress.

A component's `__main__.py` calls `run(__file__, main)`; `main` gets a Task and knows nothing of who started it.
Only the standard library and PyYAML are needed, so that an image of a component stays small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import OrchestratorError, PipelineError, did_you_mean

PARAMETERS = frozenset({"string", "integer", "number", "boolean", "list", "struct", "TaskFinalStatus"})
EXECUTOR_INPUT = "executor_input"
BUG = 70


@dataclass(frozen=True, slots=True)
class Interface:
    """A component's inputs and outputs: name -> declaration as written in component.yaml."""

    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, file: Path) -> Interface:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return cls(document.get("inputs") or {}, document.get("outputs") or {})


@dataclass(slots=True)
class Task:
    """What a component's program is given, and where it puts what it makes."""

    interface: Interface
    given: Mapping[str, str]
    executor_input: Mapping[str, Any] = field(default_factory=dict)
    _metadata: dict[str, dict[str, Any]] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The local path of an artifact input."""
        path = self.optional_path(name)
        if path is None:
            raise OrchestratorError(f"the input {name!r} was not given")
        return path

    def optional_path(self, name: str) -> Path | None:
        """The local path of an artifact input, or None when the pipeline gave none."""
        self._declared(self.interface.inputs, name)
        text = self.given.get(name, "")
        return Path(text) if text else None

    def paths(self, name: str) -> list[Path]:
        """The local paths of an input that is a list of artifacts, in the order of the loop that made them."""
        path = self.optional_path(name)
        listed = self.executor_input.get("inputs", {}).get("artifacts", {}).get(name, {}).get("artifacts")
        if listed is None:
            return [path] if path else []
        return [_local(each["uri"]) for each in listed]

    def value(self, name: str) -> Any:
        """A parameter, typed by component.yaml: its default when absent, None when there is no default."""
        declared = self._declared(self.interface.inputs, name)
        if name not in self.given:
            return declared.get("default")
        return typed(self.given[name], declared["type"], name)

    def output(self, name: str) -> Path:
        """Where to write an output artifact: a file or a folder; its parent exists."""
        self._declared(self.interface.outputs, name)
        path = Path(self.given[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def set(self, name: str, value: Any) -> None:
        """Write an output parameter."""
        declared = self._declared(self.interface.outputs, name)
        text = value if declared["type"] == "string" else json.dumps(value)
        self.output(name).write_text(text, encoding="utf-8")

    def metadata(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Attach metadata to an output artifact; the KFP UI draws metrics and curves from it."""
        self._declared(self.interface.outputs, name)
        self._metadata.setdefault(name, {}).update(metadata)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Say how far the task is: a line that a runner may draw as a bar."""
        print(f"::progress {done:g}/{total:g} {text}".rstrip(), flush=True)

    def log(self, text: str) -> None:
        """A line for the task's log."""
        print(text, flush=True)

    def warn(self, text: str) -> None:
        """A line for the task's log that a person should see although the task succeeds."""
        print(f"warning: {text}", flush=True)

    def finish(self) -> None:
        """Write KFP's executor_output.json when the runner asked for one and there is metadata."""
        outputs = self.executor_input.get("outputs", {})
        file = outputs.get("outputFile")
        if not file or not self._metadata:
            return
        artifacts = {}
        for name, metadata in self._metadata.items():
            listed = outputs.get("artifacts", {}).get(name, {}).get("artifacts") or [{}]
            artifacts[name] = {"artifacts": [{**listed[0], "metadata": metadata}]}
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own and a rename: a task killed here leaves no half-written JSON behind.
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")
        partial.replace(path)

    @staticmethod
    def _declared(declared: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
        if name not in declared:
            raise KeyError(f"component.yaml declares no {name!r}: {sorted(declared)}")
        return declared[name]


def run(file: str, main: Callable[[Task], None]) -> None:
    """Parse the command line by the component.yaml beside `file`, call `main`, exit with its code."""
    interface = Interface.read(Path(file).with_name("component.yaml"))
    sys.exit(execute(interface, sys.argv[1:], main))


def execute(interface: Interface, arguments: list[str], main: Callable[[Task], None]) -> int:
    """Run `main` on these command-line arguments; returns the exit code and prints errors to stderr."""
    if arguments == ["--help"]:
        print(usage(interface), flush=True)
        return 0
    try:
        given = _flags(interface, arguments)
        text = given.pop(EXECUTOR_INPUT, "")
        task = Task(interface, given, json.loads(text) if text else {})
        try:
            main(task)
        finally:
            task.finish()
    except OrchestratorError as error:
        _complain(error)
        return error.exit_code
    except Exception:  # noqa: BLE001  The border of the program: whatever is left is a bug, told as one.
        traceback.print_exc()
        return BUG
    return 0


def usage(interface: Interface) -> str:
    """The flags a component takes, for whoever looks into its image."""
    inputs = ((name, each, "" if _may_be_absent(each) else " (required)") for name, each in interface.inputs.items())
    outputs = ((name, each, " (written there)") for name, each in interface.outputs.items())
    lines = [
        f"  --{name} {each['type']}{note}\n      {' '.join(str(each.get('description', '')).split())}".rstrip()
        for name, each, note in (*inputs, *outputs)
    ]
    return "\n".join(["Flags, each with a value:", *lines])


def typed(text: str, kind: str, name: str) -> Any:
    """The value of a parameter of type `kind` from its text on the command line."""
    if kind == "string":
        return text
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        lowered = text.lower()
        if kind == "boolean" and lowered in ("true", "false"):
            return lowered == "true"
        raise OrchestratorError(f"{name}: expected {kind} as JSON, not {text[:80]!r}: {error}") from error
    expected: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "list": (list,),
        "struct": (dict,),
        "TaskFinalStatus": (dict,),
    }
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, expected[kind]) or (isinstance(value, bool) and kind in ("integer", "number")):
        raise OrchestratorError(f"{name}: expected {kind}, not {text[:80]!r}")
    return float(value) if kind == "number" and isinstance(value, int | float) else value


def _flags(interface: Interface, arguments: list[str]) -> dict[str, str]:
    known = {*interface.inputs, *interface.outputs, EXECUTOR_INPUT}
    given: dict[str, str] = {}
    rest = iter(arguments)
    for flag in rest:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--") or name not in known:
            raise OrchestratorError(f"unknown argument {flag!r}", hint=did_you_mean(name, known))
        if not equals:
            following = next(rest, None)
            if following is None:
                raise OrchestratorError(f"--{name} needs a value")
            value = following
        given[name] = value
    wanted = {name for name, declared in interface.inputs.items() if not _may_be_absent(declared)}
    missing = sorted((wanted | set(interface.outputs)) - set(given))
    if missing:
        raise OrchestratorError("missing arguments: " + ", ".join(f"--{name}" for name in missing))
    return given


def _may_be_absent(declared: Mapping[str, Any]) -> bool:
    return bool(declared.get("optional")) or "default" in declared


def _local(uri: str) -> Path:
    """Where KFP's launcher puts an artifact: `/minio/bucket/key` for `minio://bucket/key`; a path is a path."""
    scheme, found, rest = uri.partition("://")
    return Path(f"/{'gcs' if scheme == 'gs' else scheme}/{rest}") if found else Path(uri)


def _complain(error: OrchestratorError) -> None:
    told = error.problems if isinstance(error, PipelineError) else (error,)
    for each in told:
        print(f"error: {each}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Result:
    """What a component did when it was invoked by hand or by a test."""

    code: int
    stdout: str
    stderr: str
    parameters: Mapping[str, Any]
    artifacts: Mapping[str, Path]
    metadata: Mapping[str, Mapping[str, Any]]


def invoke(
    folder: Path, arguments: Mapping[str, Any], outputs: Path, *, environment: Mapping[str, str] | None = None
) -> Result:
    """Run a built-in component as a process of its own, with the flags a runner would give it."""
    interface = Interface.read(folder / "component.yaml")
    executor_output = outputs / "executor_output.json"
    places = {name: outputs / name for name in interface.outputs}
    executor_input = {"outputs": {"outputFile": str(executor_output), "artifacts": {}}}
    command = [sys.executable, "-m", f"components.{folder.name}", f"--{EXECUTOR_INPUT}", json.dumps(executor_input)]
    for name, value in arguments.items():
        text = value if isinstance(value, str) else str(value) if isinstance(value, Path) else json.dumps(value)
        command += [f"--{name}", text]
    for name, path in places.items():
        command += [f"--{name}", str(path)]
    outputs.mkdir(parents=True, exist_ok=True)
    silent = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    settled = {**os.environ, **silent, **(environment or {})}
    # The component's own code first; whatever else is asked for is found too.
    found = [str(folder.resolve().parent.parent), settled.get("PYTHONPATH", "")]
    settled["PYTHONPATH"] = os.pathsep.join(filter(None, found))
    done = subprocess.run(
        command,
        cwd=outputs,
        env=settled,
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(executor_output.read_text()) if executor_output.exists() else {"artifacts": {}}
    return Result(
        done.returncode,
        done.stdout,
        done.stderr,
        {
            name: typed(places[name].read_text(encoding="utf-8"), declared["type"], name)
            for name, declared in interface.outputs.items()
            if declared["type"] in PARAMETERS and places[name].exists()
        },
        {
            name: places[name]
            for name, declared in interface.outputs.items()
            if declared["type"] not in PARAMETERS and places[name].exists()
        },
        {name: listed["artifacts"][0].get("metadata", {}) for name, listed in said["artifacts"].items()},
    )
