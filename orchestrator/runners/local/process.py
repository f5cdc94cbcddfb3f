"""A task's process: started in a session of its own, and ended with everything it started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.runners.local import traces
from orchestrator.runners.local.launch import Launch

_PR_SET_PDEATHSIG = 1


class Handle(Protocol):
    """A running program of a task, however it was started: as a process, forked from a warm one, in a container."""

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is not known."""

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""

    def reason(self) -> str:
        """Why it failed, where its exit code and its log do not tell; else nothing."""

    def wait(self) -> None:
        """Wait for the end of one that was killed."""

    def terminate(self) -> None:
        """Ask the program and its group to end."""

    def kill(self) -> None:
        """End the program and its group at once."""

    def clear(self) -> None:
        """After the end: end what it started and left running, in whatever session."""


def _prctl() -> Callable[[int, int], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    return lambda option, value: call(option, value, 0, 0, 0) and None


PRCTL = _prctl()


@dataclass(slots=True)
class Process:
    """A program started from scratch: the cold start."""

    popen: subprocess.Popen[bytes]
    mark: str

    @property
    def pid(self) -> int:
        """The process id, which is also its process group's and session's."""
        return self.popen.pid

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self.popen.poll()

    def reason(self) -> str:
        """Nothing: the exit code and the log tell why it failed."""
        return ""

    def wait(self) -> None:
        """Wait for the end of one that was killed."""
        self.popen.wait()

    def terminate(self) -> None:
        """Ask the process and its group to end."""
        traces.signal_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the process and its group at once."""
        traces.signal_group(self.pid, signal.SIGKILL)

    def clear(self) -> None:
        """After the end: end what it started and left running, in whatever session."""
        traces.clear(self.pid, self.mark)


def start(argv: Sequence[str], launch: Launch) -> Process:
    """Start a program in a session of its own, its output going to the log. Raises OSError when it cannot start."""
    with launch.log.open("ab") as stream:
        popen = subprocess.Popen(
            list(argv),
            cwd=launch.folder,
            env=launch.environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The runner has one thread, so that running a line of ours between fork and exec is safe.
            preexec_fn=bound(),  # noqa: PLW1509
        )
    return Process(popen, launch.environment[traces.MARK])


def bound() -> Callable[[], None] | None:
    """For a child, before it is a program of its own: a runner that is killed takes along what it started."""
    prctl, parent = PRCTL, os.getpid()
    if prctl is None:
        return None

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died before it could be bound to: nobody would find this child.
            os._exit(1)

    return bind
