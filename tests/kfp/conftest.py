"""A server of Kubeflow Pipelines as a process of its own, and projects that run on it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Ended, Project, make

ROOT = Path(__file__).resolve().parents[2]

ADD = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: add}
inputs:
  file: {type: Dataset}
  amount: {type: integer, default: 1}
  seconds: {type: number, default: 0.0}
  gate: {type: string, default: ""}
outputs: {sum: {type: integer}}
container:
  image: python:3.11
  command: [python, -c]
  args:
    - |
      import pathlib, sys, time
      file, amount, seconds, gate, out = sys.argv[1:]
      path = pathlib.Path(file)
      text = "".join(sorted(each.read_text() for each in path.rglob("*.csv"))) if path.is_dir() else path.read_text()
      print("adding", amount, flush=True)
      time.sleep(float(seconds))
      if gate and not pathlib.Path(gate).exists():
          sys.exit(f"error: there is no {gate}")
      pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
      pathlib.Path(out).write_text(str(sum(map(int, text.split())) + int(amount)))
    - {inputPath: file}
    - {inputValue: amount}
    - {inputValue: seconds}
    - {inputValue: gate}
    - {outputPath: sum}
"""

PIPELINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: sums, labels: {project: sums}}
parameters:
  source: numbers.csv
  seconds: 0.0
  gate: ""
tasks:
  one: {component: ./add.yaml, arguments: {file: "${parameters.source}", amount: 10}}
  two:
    component: ./add.yaml
    arguments:
      {file: folder, amount: "${tasks.one.outputs.sum}", seconds: "${parameters.seconds}", gate: "${parameters.gate}"}
outputs: {total: "${tasks.two.outputs.sum}"}
"""


@dataclass(frozen=True)
class Kfp:
    """The server: where it is, and where it keeps what it does."""

    url: str
    folder: Path

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.url}{path}", data)  # A POST when there is data.
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())

    def fail(self, kind: str, path: str, *, method: str = "", times: int = 1) -> None:
        """Something goes wrong from now on."""
        self.ask("/faults", {"kind": kind, "path": path, "method": method, "times": times})

    def runs(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.ask("/apis/v2beta1/runs").get("runs", [])
        return listed


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Kfp]:
    command = [sys.executable, "-m", "tests.runners_kfp.server", "--folder", str(folder), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Kfp(process.stdout.readline().strip(), folder)
        finally:
            process.terminate()  # Not SIGINT: what a shell starts in the background, CI for one, has that ignored.
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            # What was deployed there has a model server of its own.
            for file in folder.rglob("server.json"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def kfp(tmp_path: Path) -> Iterator[Kfp]:
    with serving(tmp_path / "kfp") as server:
        yield server


@dataclass(frozen=True)
class Remote:
    """A project and the server it runs on."""

    project: Project
    server: Kfp

    def env(self, **more: str) -> dict[str, str]:
        files = str(self.server.folder / "uploaded")
        return {"ORC_KFP_URL": self.server.url, "ORC_KFP_FILES": files, **more}

    def orc(self, *arguments: str, code: int = 0, env: dict[str, str] | None = None) -> Ended:
        ended = self.project.orc(*arguments, env=self.env(**(env or {})))
        assert ended.code == code, ended.text
        return ended

    def run(self, *arguments: str, **how: Any) -> Ended:
        return self.orc("run", "pipeline.yaml", "--on", "kfp", *arguments, **how)

    def start(self, *arguments: str) -> Any:
        """`orc` that is still at work."""
        return self.project.start(*arguments, env=self.env())

    def show(self, run: str = "last") -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.orc("show", run, "--format", "json").out)
        return shown

    def status(self) -> str:
        return str(self.show()["status"])

    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["name"]: task for task in self.show()["tasks"]}


def sums(folder: Path) -> Project:
    """A project of two tasks, a file and a folder: 1 + 2 + 10, and 3 + 4 to that."""
    project = make(folder)
    (project.folder / "add.yaml").write_text(ADD)
    (project.folder / "pipeline.yaml").write_text(PIPELINE)
    (project.folder / "numbers.csv").write_text("1\n2\n")
    (project.folder / "folder" / "deep").mkdir(parents=True)
    (project.folder / "folder" / "a.csv").write_text("3\n")
    (project.folder / "folder" / "deep" / "b.csv").write_text("4\n")
    return project


@pytest.fixture
def remote(tmp_path: Path, kfp: Kfp) -> Remote:
    return Remote(sums(tmp_path / "one"), kfp)


def until(process: Any, text: str) -> list[str]:
    """Read what a process prints up to a line with this text."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join([*lines, process.stderr.read()]))
