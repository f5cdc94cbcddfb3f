"""A process that has the product loaded, and forks a runner for whoever asks: killing one costs no start of Python.

A request is a line of JSON: what to run or resume, and after how many seconds to kill it. So is the answer.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import runs, settings
from orchestrator.runners.events import TaskFinished

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Trial:
    """What came of one runner."""

    killed: bool
    code: int
    """As of a process: negative for a signal."""
    seconds: float
    said: str


class Nursery:
    """The side of whoever asks."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen

    def trial(self, file: Path, state: Path, **asked: Any) -> Trial:
        """Start a run, or with `resume` go on with it; kill its runner after `kill` seconds, or `at` an event."""
        assert self.popen.stdin
        assert self.popen.stdout
        print(json.dumps({"file": str(file), "state": str(state), **asked}), file=self.popen.stdin, flush=True)
        return Trial(**json.loads(self.popen.stdout.readline()))


@contextmanager
def nursery(**variables: str) -> Iterator[Nursery]:
    """A process of its own, with these variables for all tasks."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        try:
            yield Nursery(popen)
        finally:
            assert popen.stdin
            popen.stdin.close()


def serve() -> None:
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line))), flush=True)


def perform(asked: dict[str, Any]) -> dict[str, Any]:
    said = os.memfd_create("said")
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        live(asked, said)
    limit = asked.get("kill")
    watched = os.pidfd_open(pid)
    ready = select.select([watched], [], [], 60 if limit is None else limit)[0]
    os.close(watched)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seconds = time.monotonic() - began
    os.lseek(said, 0, os.SEEK_SET)
    text = os.read(said, 1 << 20).decode()
    os.close(said)
    return {"killed": code == -signal.SIGKILL, "code": code, "seconds": seconds, "said": text}


def live(asked: dict[str, Any], said: int) -> None:
    """In a process of its own: be the runner."""
    code = 70
    try:
        os.setsid()
        for number, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
            os.dup2(target, number)
        state = Path(asked["state"])
        os.environ["TRACE"] = str(state.parent / "trace")
        variables = {"ORC_STATE": str(state), "ORC_WORKERS": "8", **asked.get("environment", {})}
        found = settings.read(variables, state.parent)
        if asked.get("resume"):
            events = runs.resume("r", found)
        else:
            options = runs.Options(run="r", cache=asked.get("cache", False), cold=asked.get("cold", False))
            events = runs.start(Path(asked["file"]), asked.get("arguments", {}), found, options)
        for number, event in enumerate(events):
            path = event.task.path if isinstance(event, TaskFinished) else ""
            print(type(event).__name__, getattr(event, "status", ""), path, flush=True)
            if number == asked.get("at"):
                os.kill(os.getpid(), signal.SIGKILL)
        code = 0
    except BaseException:  # noqa: BLE001  Nothing may come back to the nursery.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
