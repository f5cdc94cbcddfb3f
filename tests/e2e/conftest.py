"""Whole projects in folders of their own, and the installed `orc` as a process."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ORC = Path(sys.executable).parent / "orc"
BIRD = {
    "island": "Biscoe",
    "bill_length_mm": 46.1,
    "bill_depth_mm": 13.2,
    "flipper_length_mm": 211.0,
    "body_mass_g": 4500.0,
    "sex": "female",
}


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Project:
    """A folder with a pipeline in it, its state folder, and an empty home."""

    folder: Path
    state: Path
    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), "ORC_STATE": str(self.state), **more}

    def start(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Any:
        """`orc`, in a session of its own so that signals reach it and nobody else."""
        return subprocess.Popen(
            [ORC, *arguments],
            cwd=cwd or self.folder,
            env=self.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def orc(
        self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 240
    ) -> Ended:
        """`orc`, until it ends. A traceback is never an answer."""
        with self.start(*arguments, cwd=cwd, env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        ended = Ended(process.returncode, out, err)
        assert "Traceback" not in ended.text, ended.text
        return ended

    def run(self, *arguments: str, file: str = "pipeline.yaml", code: int = 0, **how: Any) -> Ended:
        """`orc run` that must end with this code."""
        ended = self.orc("run", file, *arguments, **how)
        assert ended.code == code, ended.text
        return ended

    def show(self, run: str = "last") -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.orc("show", run, "--format", "json").out)
        return shown

    def tasks(self, run: str = "last") -> dict[str, dict[str, Any]]:
        return {task["name"]: task for task in self.show(run)["tasks"]}

    def statuses(self, run: str = "last") -> dict[str, str]:
        return {name: task["status"] for name, task in self.tasks(run).items()}

    def runs(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.orc("runs", "--format", "json").out)
        return listed

    def artifact(self, task: str, output: str, run: str = "last") -> Path:
        """Where an output artifact of a task lies."""
        (row,) = self.tasks(run)[task]["outputs"]["artifacts"][output]
        return Path(row["uri"].removeprefix("file://"))

    def write(self, name: str, change: Callable[[dict[str, Any]], None], source: str = "pipeline.yaml") -> str:
        """A changed copy of a YAML file, beside it."""
        data = yaml.safe_load((self.folder / source).read_text(encoding="utf-8"))
        change(data)
        (self.folder / name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return name

    def judge(self) -> Any:
        """MLflow's own client, which knows nothing of us."""
        from mlflow import MlflowClient

        # Of MLflow's own queries, with SQLAlchemy 2.1.
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
        uri = f"sqlite:///{self.state / 'mlflow.db'}"
        return MlflowClient(tracking_uri=uri, registry_uri=uri)

    def published(self) -> dict[str, Any]:
        """Everything a run may change for others: model versions, aliases, declared endpoints."""
        models: dict[str, Any] = {}
        if (self.state / "mlflow.db").is_file():
            for model in self.judge().search_registered_models():
                versions = self.judge().search_model_versions(f"name = '{model.name}'")
                aliases = {alias: int(version) for alias, version in model.aliases.items()}
                models[model.name] = (sorted(int(version.version) for version in versions), aliases)
        declared = {path.name: path.read_text() for path in sorted((self.state / "endpoints").glob("*.json"))}
        return {"models": models, "endpoints": declared}

    def server(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "server.json").read_text())
        return found

    def ask(self, path: str, body: Any = None) -> Any:
        """One request to the server of this project."""
        server = self.server()
        with contextlib.closing(http.client.HTTPConnection(server["host"], server["port"], timeout=30)) as connection:
            connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == 200, text
            return json.loads(text)

    def predict(self, name: str, *rows: dict[str, Any]) -> list[Any]:
        predictions: list[Any] = self.ask(f"/v1/models/{name}:predict", {"instances": list(rows)})["predictions"]
        return predictions

    def close(self) -> None:
        """Leave no process behind, whatever the test did."""
        for file in self.state.glob("server.json"):
            pid = json.loads(file.read_text())["pid"]
            self.orc("endpoints", "stop", "--all")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes(state: Path) -> list[str]:
    """The command lines of the tasks that work in this state folder; its model server is no task."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"ORC_STATE={state}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return [command for command in found if command and "orchestrator.serving" not in command]


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something that is bound to happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


Make = Callable[..., Project]


def make(folder: Path, pipeline: str = "") -> Project:
    """A project in `folder`: a copy of one of ours, or an empty one."""
    home = folder / "home"
    home.mkdir(parents=True)
    work = folder / "project"
    if pipeline:
        shutil.copytree(ROOT / "pipelines" / pipeline, work)
    else:
        work.mkdir()
    return Project(work, folder / "state", home)


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Make]:
    """Make a project; several, under names."""
    made: list[Project] = []

    def one(pipeline: str = "", name: str = "one") -> Project:
        made.append(make(tmp_path / name, pipeline))
        return made[-1]

    yield one
    for project in made:
        project.close()


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ended]]:
    """The penguins, run once on a fresh machine; and what that run said."""
    project = make(tmp_path_factory.mktemp("e2e") / "penguins", "penguins")
    ended = project.orc("run", "pipeline.yaml")
    assert ended.code == 0, ended.text
    yield project, ended
    project.close()


@pytest.fixture
def penguins(first: tuple[Project, Ended]) -> Project:
    """The penguins after their first run: every task is in the cache, version 1 is served."""
    return first[0]
