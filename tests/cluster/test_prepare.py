"""`prepare.py` gives a command a cluster, passes its exit code on, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bed import programs

PREPARE = Path(__file__).parent / "prepare.py"
# Says where the cluster's files are, once it answers, and stays.
STAY = 'kubectl get namespaces --output name && dirname "$KUBECONFIG" > "$PLACE" && exec sleep 600'


@pytest.fixture(autouse=True)
def built() -> None:
    if not programs.ready():
        pytest.skip("the programs of the cluster are not built: `make cluster` builds them")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    place, log = tmp_path / "place", tmp_path / "log"
    environment = {**os.environ, "PLACE": str(place), "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(PREPARE), "--control-plane", "sh", "-c", STAY]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    _until(lambda: place.exists() and place.read_text().strip() != "", log)
    assert "namespace/kube-system" in log.read_text()
    folder = place.read_text().strip()
    assert len(_running(folder)) >= 4
    process.send_signal(number)
    process.wait(30)
    _until(lambda: not _running(folder), log)
    # A killed one could not remove its files; the next one does.
    assert Path(folder).exists() == (number is signal.SIGKILL)


def test_an_exit_code_is_passed_on(tmp_path: Path) -> None:
    command = [sys.executable, str(PREPARE), "--control-plane", "sh", "-c", "exit 7"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 7


def test_too_little_time_is_told(tmp_path: Path) -> None:
    environment = {**os.environ, "ORC_TEST_CLUSTER": str(tmp_path), "GOCACHE": str(tmp_path / "cache")}
    command = [sys.executable, str(PREPARE), "--within", "0.01", "true"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 75, done.stderr
    assert "no cluster: Kubernetes " in done.stderr


def _running(folder: str) -> list[str]:
    """The command lines of processes that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


def _until(holds: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)
