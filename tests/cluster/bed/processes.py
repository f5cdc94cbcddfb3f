"""Processes that die with whoever started them, however that one dies, and say in a file what they have to say."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class NotStartedError(Exception):
    """A program of the cluster does not work here; the text says what it said."""


@dataclass
class Processes:
    """What was started, in order; each with a log in the folder."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    firsts: dict[str, int] = field(default_factory=dict)
    """The first process in the namespaces that one of them made: with it, everything in them ends."""

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # A session of its own: Ctrl-C is for the command that runs, and for us.
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one thread starts them all
            )
        return self.running[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 180) -> None:
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
        """Ends everything at once: nothing of it is kept, so that nothing needs time to put it in order."""
        for name, process in self.running.items():
            with contextlib.suppress(ProcessLookupError):
                # What made namespaces ends when all in them has; only then are the mounts gone.
                os.kill(self.firsts.get(name, process.pid), signal.SIGKILL)
        for process in self.running.values():
            process.wait()
        self.running.clear()


def free_port(address: str = "127.0.0.1") -> int:
    with contextlib.closing(socket.socket()) as made:
        made.bind((address, 0))
        return int(made.getsockname()[1])


def die_with_parent() -> None:
    """For a child, before it is a program of its own: when whoever started it is killed, it is, too."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
