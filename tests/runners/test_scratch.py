"""The folder for a task's temporary files: short enough for sockets, nobody else's, and gone with the attempt."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import runs
from orchestrator.errors import RunError
from orchestrator.history import collection
from orchestrator.history.retention import Rules
from orchestrator.runners.local import scratch


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, short and for this test alone."""
    folder = Path("/tmp") / f"orc-test-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    left = list(folder.iterdir())
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert left == []


@pytest.mark.parametrize("depth", [1, 3, 30])
def test_a_socket_has_room_however_deep_the_state_folder_lies(depth: int, system: Path) -> None:
    state = system / "/".join(["project"] * depth)
    folder = scratch.folder(state, "run", "task", 12)
    assert (folder.parent == state / "tmp") == (depth < 5)
    scratch.make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as listener:
        (folder / "pymp-12345678").mkdir()
        listener.bind(str(folder / "pymp-12345678" / "listener-12345678"))
    scratch.make(folder)
    assert list(folder.iterdir()) == []
    scratch.clear(state, "other")
    assert list(scratch.left(state)) == [folder]
    assert list(scratch.left(system / "elsewhere")) == []
    scratch.clear(state, "run")
    assert not folder.exists()
    subprocess.run(["rm", "-rf", str(system / "project")], check=True)


def test_what_somebody_else_has_put_there_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(RunError, match="somebody else's"):
        scratch.make(tmp_path / "link")
    if os.getuid() == 0:
        os.chown(tmp_path / "there", 12345, 12345)
        with pytest.raises(RunError, match="somebody else's"):
            scratch.make(tmp_path / "there")


@pytest.mark.parametrize(
    ("end", "status"), [("pass", "SUCCEEDED"), ("sys.exit(1)", "FAILED"), ("time.sleep(60)", "FAILED")]
)
def test_it_is_gone_with_the_attempt(project, end: str, status: str) -> None:
    code = "t = os.environ['TMPDIR']; open(t + '/x', 'w').close(); trace(t); put('out', t);" + end
    project.component("use", code, {}, {"out": "string"})
    project.pipeline("tasks: {a: {component: use, timeout: 1s, retry: {attempts: 2, backoff: 0s}}}")
    assert project.run().statuses == {"a": status}
    assert len(set(project.trace)) == (1 if status == "SUCCEEDED" else 2)
    assert not any(Path(each).exists() for each in project.trace)


def test_an_artifact_that_was_made_there_is_kept(project) -> None:
    code = (
        "import json; t = os.environ['TMPDIR'] + '/made'; open(t, 'w').write('x');"
        " d = {'artifacts': {'out': {'artifacts': [{'uri': t}]}}};"
        " o = json.loads(a['executor_input'])['outputs']['outputFile']; open(o, 'w').write(json.dumps(d))"
    )
    project.component("make", code, {}, {"out": "Dataset"}, executorInput=True)
    project.pipeline("tasks: {a: {component: make}}")
    assert project.run().file("a") == "x"


def test_what_a_killed_runner_left_goes_when_it_is_cancelled_or_collected(project) -> None:
    """Killed together with what would have ended its tasks: nothing can tidy up behind it."""
    project.component("wait", "trace(os.environ['TMPDIR']); time.sleep(float(a['s']))", {"s": "number"})
    project.pipeline("parameters: {s: 60}\ntasks: {a: {component: wait, arguments: {s: '${parameters.s}'}}}")
    state = project.settings.state
    run = [sys.executable, "-m", "orchestrator", "run", "pipeline.yaml", "--cold"]
    for way in ("cancel", "collect"):
        with subprocess.Popen(
            run,
            cwd=project.folder,
            env={**os.environ, "ORC_STATE": str(state), "TMPDIR": str(scratch.tempfile.tempdir)},
        ) as runner:
            while not project.trace:
                time.sleep(0.02)
            time.sleep(0.1)
            runner.send_signal(signal.SIGKILL)
        (folder,) = map(Path, project.trace)
        assert list(scratch.left(state)) == [folder]
        if way == "collect":
            with contextlib.closing(project.metadata()) as metadata:
                asked = {"alive": runs.is_alive, "beside": [], "trial": False}
                collection.collect(metadata, state, Rules(), now=time.time(), **asked)
                assert folder.exists(), "a run that has just begun may be making use of it"
                found = collection.collect(metadata, state, Rules(), now=time.time() + 120, **asked)
            assert found.leftovers == 1
        else:
            assert "it is now recorded as cancelled" in runs.cancel("last", project.settings)
        assert not folder.exists()
        (project.folder / "trace").unlink()
