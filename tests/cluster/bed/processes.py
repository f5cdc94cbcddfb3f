"""Processes that die with whoever started them, however that one dies, and say in a file what they have to say."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 20
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class NotStartedError(Exception):
    """A program of the cluster does not work here; the text says what it said."""


@dataclass
class Processes:
    """What was started, in order; each with a log in the folder."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ends: dict[str, signal.Signals] = field(default_factory=dict)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        end: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        self.ends[name] = end
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # A session of its own: Ctrl-C is for the command that runs, and for us.
                start_new_session=True,
                preexec_fn=lambda: _die_with_parent(end),  # noqa: PLW1509 - one thread starts them all
            )
        return self.running[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 90) -> None:
        """Until `ready`, as long as everything lives."""
        until = time.monotonic() + seconds
        while not ready():
            dead = [name for name, process in self.running.items() if process.poll() is not None]
            if dead:
                raise NotStartedError(f"{dead[0]} ended: {self.last(dead[0])}")
            if time.monotonic() > until:
                raise NotStartedError(f"{what} did not become ready within {seconds:.0f} s; logs: {self.folder}")
            time.sleep(0.2)

    def last(self, name: str) -> str:
        """The end of a log."""
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-5:])

    def stop(self) -> None:
        """Ends what was started last first."""
        for name in reversed(list(self.running)):
            process = self.running.pop(name)
            process.send_signal(self.ends[name])
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port(address: str = "127.0.0.1") -> int:
    with contextlib.closing(socket.socket()) as made:
        made.bind((address, 0))
        return int(made.getsockname()[1])


def _die_with_parent(end: signal.Signals) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, end)
