"""A project in a folder of its own, and `orc` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Orc = Callable[..., "subprocess.CompletedProcess[str]"]

COMPONENT = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: add, description: "Add two numbers, slowly if asked."}
inputs:
  left: {type: number}
  right: {type: number, default: 1}
  seconds: {type: number, default: 0}
outputs:
  sum: {type: number}
container:
  image: add
  command: [python, -m, components.add]
"""

PROGRAM = """\
import argparse, pathlib, sys, time

parser = argparse.ArgumentParser()
for name in ("left", "right", "seconds"):
    parser.add_argument(f"--{name}", type=float, default=0)
parser.add_argument("--sum", type=pathlib.Path)
given = parser.parse_args()
if given.left < 0:
    sys.exit(f"error: {given.left} is negative")
for done in range(10):
    print(f"::progress {done + 1}/10 part", flush=True)
    time.sleep(given.seconds / 10)
print(f"{given.left} + {given.right}")
given.sum.write_text(str(given.left + given.right))
"""

PIPELINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: sums}
parameters:
  start: 1.0
  seconds: 0.0
tasks:
  one: {component: add, arguments: {left: "${parameters.start}", seconds: "${parameters.seconds}"}}
  two: {component: add, arguments: {left: "${tasks.one.outputs.sum}"}}
outputs:
  total: ${tasks.two.outputs.sum}
"""


def environment(**more: str) -> dict[str, str]:
    """What `orc` is started with: nothing of the tester's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    # Warnings of ours are errors; those of libraries in the tasks are not what is tested here.
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one pipeline of two quick tasks."""
    folder = tmp_path / "components" / "add"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(PROGRAM)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def orc(tmp_path: Path) -> Orc:
    """Run `orc` in the project's folder."""

    def run(
        *arguments: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=cwd,
            env=environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
