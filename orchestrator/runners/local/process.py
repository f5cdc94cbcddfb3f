"""A task's process: started in a session of its own, watched, and ended with everything it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

RUN, TASK, STATE = "ORC_RUN", "ORC_TASK", "ORC_STATE"
"""Environment variables every process of a task carries: by them what a killed runner left behind is found."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_TAIL = 64 * 1024
_POLL = 0.05  # Where signals cannot wake the loop (not the main thread), it looks this often.


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
    """A running program of a task."""

    popen: subprocess.Popen[bytes]
    log: Path
    marks: tuple[str, str]
    """The values of ORC_RUN and ORC_TASK, which its children inherit."""
    read: int = 0
    """How much of the log has been looked through for progress."""

    @property
    def pid(self) -> int:
        """The process id, which is also its process group's and session's."""
        return self.popen.pid

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self.popen.poll()

    def terminate(self) -> None:
        """Ask the process and its group to end."""
        _signal_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the process and its group at once."""
        _signal_group(self.pid, signal.SIGKILL)

    def clear(self) -> None:
        """After the end: end what it started and left running, in whatever session."""
        _signal_group(self.pid, signal.SIGKILL)
        # Again until none is left: what an ended one had started comes to us only then.
        while found := [pid for pid in _adopted() if (_variable(pid, RUN), _variable(pid, TASK)) == self.marks]:
            for pid in found:
                _kill(pid)

    def progress(self) -> tuple[float, float, str] | None:
        """The last progress line written since the last look."""
        try:
            size = self.log.stat().st_size
            if size <= self.read:
                return None
            with self.log.open("rb") as stream:
                stream.seek(max(self.read, size - _TAIL))
                lines = stream.read(_TAIL).decode("utf-8", "replace").splitlines()
        except OSError:
            return None
        self.read = size
        return next((found for line in reversed(lines) if (found := parse_progress(line))), None)


def parse_progress(line: str) -> tuple[float, float, str] | None:
    """`::progress 3/10 epoch` as (3.0, 10.0, "epoch")."""
    if not line.startswith("::progress "):
        return None
    numbers, _, text = line.removeprefix("::progress ").partition(" ")
    done, _, total = numbers.partition("/")
    try:
        return float(done), float(total), text.strip()
    except ValueError:
        return None


def start(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path, token: str) -> Process:
    """Start a program in a session of its own, its output going to `log`. Raises OSError when it cannot start."""
    with log.open("ab") as stream:
        popen = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**environment, TASK: token},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The runner has one thread, so that running a line of ours between fork and exec is safe.
            preexec_fn=_die_with_parent if PRCTL else None,  # noqa: PLW1509
        )
    return Process(popen, log, (environment.get(RUN, ""), token))


def identity(pid: int) -> str:
    """What tells a process from a later one of the same number: its start time; "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def sweep(run: str, state: Path) -> int:
    """End every process of a run of this state folder: what a killed runner left. Returns how many there were."""
    ended = 0
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        # Another project may have a run of the same name.
        ours = pid != os.getpid() and _variable(pid, RUN) == run and _variable(pid, STATE) == str(state)
        if ours and _variable(pid, TASK):
            _kill(pid)
            ended += 1
    return ended


@dataclass(slots=True)
class Watch:
    """Waits for processes to end, for time to pass, and for somebody to interrupt; counts the interruptions."""

    interrupts: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _wakes: bool = False

    def wait(self, seconds: float | None) -> None:
        """Sleep until something happens, at most `seconds`."""
        if not self._wakes:
            seconds = _POLL if seconds is None else min(seconds, _POLL)
        for key, _ in self._selector.select(seconds):
            with contextlib.suppress(BlockingIOError):
                while key.fileobj.recv(4096):  # type: ignore[union-attr]
                    pass

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM."""
        self.interrupts += 1


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """A Watch that signals reach, and the handlers of before afterwards."""
    watch = Watch()
    if PRCTL:
        PRCTL(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        if threading.current_thread() is threading.main_thread():
            with _signals(watch):
                yield watch
        else:
            yield watch
    finally:
        if PRCTL:
            PRCTL(_PR_SET_CHILD_SUBREAPER, 0)
        watch._selector.close()


@contextlib.contextmanager
def _signals(watch: Watch) -> Iterator[None]:
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    watch._selector.register(reader, selectors.EVENT_READ)
    watch._wakes = True
    before = {number: signal.signal(number, watch.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _die_with_parent() -> None:
    if PRCTL:
        PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        for _ in range(1000):  # It ends within a millisecond; one that hangs in the kernel is left behind.
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.001)


def _adopted() -> list[int]:
    """The processes whose parent this one is; orphans of tasks come to us, since we are their subreaper."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _variable(pid: int, name: str) -> str:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    prefix = f"{name}=".encode()
    return next(
        (each[len(prefix) :].decode("utf-8", "replace") for each in raw.split(b"\0") if each.startswith(prefix)), ""
    )
