"""Killed at any moment, interrupted, without a disk: what was finished stays, and the run can go on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import BIRD, Ended, Make, Project, make, processes


def test_killed_during_every_kind_of_task_the_result_is_the_same(new: Make, first: tuple[Project, Ended]) -> None:
    project = new("penguins")
    finished: dict[str, str] = {}
    for number, task in enumerate(("validate", "train", "publish", "deploy")):
        process = project.start(*(("resume", "last") if number else ("run", "pipeline.yaml")))
        _wait_for(process, f"{task}: started")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        tasks = project.tasks()
        assert tasks[task]["status"] not in ("SUCCEEDED", "SKIPPED"), f"the kill came after {task}"
        for name, at in finished.items():
            assert tasks[name]["finished"] == at, f"{name} was run again"
        finished = {name: each["finished"] for name, each in tasks.items() if each["status"] == "SUCCEEDED"}
        assert project.orc("show", "last").code == 0
    assert {"ingest", "validate", "transform", "train", "evaluate", "publish"} == set(finished) - {
        "import-source", "import-schema", "import-endpoint"
    }  # fmt: skip

    ended = project.orc("resume", "last")
    assert ended.code == 0, ended.text
    assert '"predictions"' in ended.out
    (kept,) = [line for line in ended.out.splitlines() if "finished before: " in line]
    assert set(kept.partition("before: ")[2].split(", ")) == set(finished)
    tasks = project.tasks()
    assert {name: tasks[name]["finished"] for name in finished} == finished
    undisturbed, _ = first
    run = undisturbed.runs()[-1]["run"]
    assert project.show()["outputs"] == undisturbed.show(run)["outputs"]
    assert project.published()["models"]["penguins"] == ([1], {"champion": 1})
    assert project.predict("penguins", BIRD) == undisturbed.predict("penguins", BIRD)
    digests = [_digests(tasks), _digests(undisturbed.tasks(run))]
    assert digests[0] == digests[1]
    assert len(project.runs()) == 1
    assert processes(project.state) == []


SLOW = """\
import argparse, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float), parser.add_argument("--done")
given = parser.parse_args()
child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({given.seconds})"], start_new_session=True)
child.wait()
open(given.done, "w").write("done")
"""

COMPONENT = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: slow}
inputs: {seconds: {type: number}}
outputs: {done: {type: string}}
container: {image: slow, command: [python, -m, components.slow]}
"""

PIPELINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: waiting}
parameters: {seconds: 0.0}
tasks:
  quick: {component: slow, arguments: {seconds: 0.0}}
  slow: {component: slow, after: [quick], arguments: {seconds: "${parameters.seconds}"}}
  last: {component: slow, after: [slow], arguments: {seconds: 0.0}}
outputs: {done: "${tasks.last.outputs.done}"}
"""


def waiting(project: Project) -> None:
    folder = project.folder / "components" / "slow"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(SLOW)
    (project.folder / "pipeline.yaml").write_text(PIPELINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_the_middle(new: Make, number: int) -> None:
    project = new()
    waiting(project)
    process = project.start("run", "pipeline.yaml", "-a", "seconds=4")
    _wait_for(process, "slow: started")
    # A terminal sends it to everything in the foreground at once.
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in out + err) == (130, False), out + err
    assert processes(project.state) == []
    assert project.show()["status"] == "CANCELLED"
    assert "cancelled" in out
    assert "orc resume" in out
    tasks = project.tasks()
    ended = project.orc("resume", "last")
    assert ended.code == 0, ended.text
    assert (project.show()["status"], project.tasks()["quick"]) == ("SUCCEEDED", tasks["quick"])


def test_an_unwritable_state_directory(new: Make, tmp_path: Path) -> None:
    project = new()
    waiting(project)
    (tmp_path / "file").write_text("in the way")
    for state in (tmp_path / "file" / "state", Path("/proc/state"), tmp_path / "file"):
        ended = project.orc("run", "pipeline.yaml", env={"ORC_STATE": str(state)})
        assert ended.code == 5, ended.text
        assert len(ended.err.splitlines()) <= 3
        assert str(state) in ended.err
        assert ended.out == ""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is for root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up(small: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "one", "penguins")
    project = Project(made.folder, small / "state", made.home)
    try:
        filler = small / "filler"
        # So full that a run can start and not end.
        filler.write_bytes(b"x" * (6 * 1024 * 1024 - 300 * 1024))
        ended = project.orc("run", "pipeline.yaml")
        assert ended.code in (3, 5), ended.text
        assert "no space left" in ended.text.lower() or "full" in ended.text.lower(), ended.text
        assert processes(project.state) == []
        filler.unlink()
        assert project.published() == {"models": {}, "endpoints": {}}
        # With room again it goes on, or starts if nothing could be recorded.
        again = project.orc("resume", "last") if project.runs() else project.orc("run", "pipeline.yaml")
        assert again.code == 0, again.text
        assert project.published()["models"]["penguins"] == ([1], {"champion": 1})
    finally:
        project.close()


def test_files_that_may_not_grow(new: Make) -> None:
    """What a full disk is where nothing can be mounted: a quota."""
    project = new("penguins")
    limited = subprocess.run(
        [Path(sys.executable).parent / "orc", "run", "pipeline.yaml"],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024)),
    )
    assert limited.returncode in (3, 5), limited.stdout + limited.stderr
    assert "Traceback" not in limited.stdout + limited.stderr
    assert project.published() == {"models": {}, "endpoints": {}}


def _wait_for(process: Any, words: str) -> None:
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return
    pytest.fail(f"no {words!r} in:\n{''.join(seen)}{process.stderr.read()}")


def _digests(tasks: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """What was made of the data; pages and statements carry times."""
    return {
        (name, output): [row["digest"] for row in rows]
        for name in ("ingest", "transform", "train")
        for output, rows in tasks[name]["outputs"]["artifacts"].items()
    }
