"""Engines that answer, with the test image in them; skipped where there are none. `make containers` prepares both."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from orchestrator import runs, settings
from orchestrator.errors import BackendError
from orchestrator.runners.events import Event, RunFinished, TaskFinished
from orchestrator.runners.local.containers import engine
from orchestrator.runners.local.containers.engine import Engine
from orchestrator.settings import Settings

HERE = Path(__file__).parent
# Variants of the image that say something themselves.
SAYS = {
    "says": (
        *('ENTRYPOINT ["/bin/sh", "-c", "echo entry $0 $* $(pwd) $KIND"]', 'CMD ["default"]'),
        *("WORKDIR /srv", "ENV KIND=image"),
    )
}


def module(path: Path) -> ModuleType:
    """A module of the tests, by its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made  # Data classes look for the module they are in.
    spec.loader.exec_module(made)
    return made


prepare = module(HERE / "prepare.py")
IMAGE = str(prepare.IMAGE)


@pytest.fixture(scope="session", params=[engine.DOCKER, engine.PODMAN])
def using(request: pytest.FixtureRequest) -> Engine:
    """An engine that answers and has the test image."""
    try:
        found = engine.find(request.param)
    except BackendError as error:
        pytest.skip(f"{error.message}; `make containers` starts an engine of its own where it can")
    if not found.image(IMAGE):
        if not prepare.TAR.exists():
            pytest.skip("the test image is not there: `make containers` makes it")
        done = found.call("import", str(prepare.TAR), IMAGE)
        assert done.returncode == 0, done.stderr
    tried = found.call("run", "--rm", IMAGE, "true")
    if tried.returncode:
        pytest.skip(f"{request.param} starts nothing on this machine: {tried.stderr.strip()[-200:]}")
    for name, changes in SAYS.items():
        _variant(found, name, changes)
    return found


def _variant(using: Engine, name: str, changes: Sequence[str]) -> None:
    made = using.call("create", IMAGE, "true").stdout.split()[-1]
    options = [word for change in changes for word in ("--change", change)]
    done = using.call("commit", *options, made, variant(name))
    using.call("rm", made)
    assert done.returncode == 0, done.stderr


def variant(name: str) -> str:
    return f"localhost/orchestrator-test-{name}:latest"


@dataclass
class Ran:
    """What came of a run."""

    events: list[Event]

    @property
    def end(self) -> RunFinished:
        last = self.events[-1]
        assert isinstance(last, RunFinished)
        return last

    @property
    def tasks(self) -> dict[str, TaskFinished]:
        return {each.task.name: each for each in self.events if isinstance(each, TaskFinished)}

    def log(self, task: str = "task") -> str:
        return Path(self.tasks[task].log).read_text()


@dataclass
class Project:
    """A folder in which pipelines run through one engine."""

    folder: Path
    engine: Engine
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        told = {"ORC_STATE": str(self.folder / "state"), "ORC_CONTAINERS_ENGINE": self.engine.program}
        return settings.read({**told, **self.environment}, self.folder)

    def ir(self, *tasks: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> Path:
        """A pipeline of tasks, one after another: each a container, with inputs and outputs where it needs them."""
        document = {
            "pipelineInfo": {"name": "demo"},
            "schemaVersion": "2.1.0",
            "sdkVersion": "kfp-2.16.1",
            "root": {"dag": {"tasks": {}}},
            "components": {},
            "deploymentSpec": {"executors": {}},
        }
        before: list[str] = []
        for number, task in enumerate(tasks):
            name = task.get("name", "task" if number == 0 else f"task-{number + 1}")
            asked = {key: task[key] for key in ("inputs", "retryPolicy") if key in task}
            document["root"]["dag"]["tasks"][name] = {
                "taskInfo": {"name": name},
                "componentRef": {"name": f"comp-{name}"},
                "cachingOptions": {"enableCache": True},
                "dependentTasks": list(before),
                **asked,
            }
            component = {"executorLabel": f"exec-{name}"}
            component |= {key: task[key] for key in ("inputDefinitions", "outputDefinitions") if key in task}
            document["components"][f"comp-{name}"] = component
            container = {"image": IMAGE, **task["container"]}
            document["deploymentSpec"]["executors"][f"exec-{name}"] = {"container": container}
            before.append(name)
        documents = [document]
        if platform:
            executors = {f"exec-{name}": held for name, held in platform.items()}
            documents.append({"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}})
        path = self.folder / "pipeline.ir.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return path

    def sh(self, script: str, *arguments: str, **more: Any) -> Path:
        """A pipeline of one task, a line of shell."""
        platform = {"task": more.pop("platform")} if "platform" in more else None
        task = {"container": {"command": ["sh", "-c", script], "args": list(arguments), **more.pop("container", {})}}
        return self.ir({**task, **more}, platform=platform)

    def run(self, file: Path, *, containers: bool = True, cache: bool = False, run: str = "", **given: Any) -> Ran:
        told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        options = runs.Options(cache=cache, containers=containers, run=run)
        return Ran(list(runs.start(file, told, self.settings, options)))

    def resume(self, run: str) -> Ran:
        return Ran(list(runs.resume(run, self.settings)))

    def orc(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command, in a session of its own."""
        told = {"ORC_STATE": str(self.folder / "state"), "ORC_CONTAINERS_ENGINE": self.engine.program}
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=self.folder,
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def containers(self) -> list[str]:
        """The containers of this project that the engine still knows."""
        label = f"label={engine.STATE}={self.folder / 'state'}"
        return self.engine.call("ps", "--all", "--quiet", "--filter", label).stdout.split()


@pytest.fixture
def project(tmp_path: Path, using: Engine) -> Iterator[Project]:
    """A project whose runs leave no container behind."""
    made = Project(tmp_path, using)
    yield made
    assert made.containers() == []
