"""Runs that are watched, cancelled or killed from another terminal, and gone on with; the server in the foreground."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import environment

if TYPE_CHECKING:
    from tests.cli.conftest import Orc

Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    """Start `orc` and go on; what is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def status(orc: Orc) -> str:
    listed = json.loads(orc("runs", "--format", "json").stdout)
    return str(listed[0]["status"]) if listed else ""


def is_running(project: Path, name: str) -> bool:
    """Whether a task has said something: asking `orc` would take longer than some tasks do."""
    return any(log.stat().st_size for log in (project / ".orc" / "runs").glob(f"*/{name}/log.txt"))


def test_a_run_is_cancelled_from_another_terminal(project: Path, orc: Orc, start: Started) -> None:
    run = start("run", "pipeline.yaml", "-a", "seconds=60")
    wait_for(lambda: is_running(project, "one"))
    assert orc("cancel").returncode == 0
    said, _ = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "sums: cancelled" in said
    assert status(orc) == "CANCELLED"
    assert "has already ended" in orc("cancel").stdout


def test_a_killed_run_is_called_interrupted_and_goes_on(project: Path, orc: Orc, start: Started) -> None:
    pipeline = (project / "pipeline.yaml").read_text()
    slow = pipeline.replace('sum}"}}', 'sum}", seconds: 3}}')
    assert slow != pipeline
    (project / "pipeline.yaml").write_text(slow)
    run = start("run", "pipeline.yaml")
    wait_for(lambda: is_running(project, "two"))
    run.kill()
    run.wait()
    assert status(orc) == "INTERRUPTED"
    assert "interrupted" in orc("show").stdout
    again = orc("resume")
    assert again.returncode == 0, again.stderr
    assert "one: started" not in again.stdout
    assert "sums: succeeded" in again.stdout
    assert "2 succeeded" in again.stdout
    assert "total  3\n" in again.stdout


def test_logs_are_followed_to_the_end_of_the_run(project: Path, orc: Orc, start: Started) -> None:
    run = start("run", "pipeline.yaml", "-a", "seconds=3")
    wait_for(lambda: is_running(project, "one"))
    followed = orc("logs", "-f", timeout=60)
    run.communicate(timeout=30)
    assert followed.returncode == 0
    assert followed.stdout == "one | 1.0 + 1.0\ntwo | 2.0 + 1.0\n"
    assert orc("logs", "last", "two", "-f").stdout == "2.0 + 1.0\n"


def test_the_server_runs_in_the_foreground_until_ctrl_c(orc: Orc, start: Started, tmp_path: Path) -> None:
    server = start("serve", "--port", "0")
    wait_for((tmp_path / ".orc" / "server.json").exists)
    second = orc("serve")
    assert second.returncode == 1
    assert second.stderr.startswith("error: a model server for ")
    server.send_signal(signal.SIGINT)
    said, _ = server.communicate(timeout=30)
    assert server.returncode in (0, 130)
    assert "serving http://127.0.0.1:" in said
    assert "Traceback" not in said
