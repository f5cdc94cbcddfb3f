"""The traces a task's processes carry in their environment: by them what a task or a killed runner left is found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.digest import of_text

RUN, TASK, STATE, MARK = "ORC_RUN", "ORC_TASK", "ORC_STATE", "ORC_PROCESS"
"""Environment variables of every process of a task. The mark has a fixed width, so that a forked one can change it."""

NO_TASK = "0" * 32
"""The mark of a process that belongs to a run and to none of its tasks."""


def mark(state: Path, run: str, path: str) -> str:
    """What tells the processes of one task from all others: 32 hexadecimal digits."""
    return of_text(f"{state}\n{run}\n{path}")[:32]


def identity(pid: int) -> str:
    """What tells a process from a later one of the same number: its start time; "" when there is no such process."""
    return _stat(pid, 19)


def sweep(run: str, state: Path) -> int:
    """End every process of a run of this state folder: what a killed runner left. How many belonged to tasks."""
    ended: dict[int, bool] = {}
    # Again until nothing new is found: one may have started another just before it was ended.
    while found := {pid: marked for pid, marked in _left(run, state) if pid not in ended}:
        for pid, marked in found.items():
            _kill(pid)
            ended[pid] = marked != NO_TASK
    return sum(ended.values())


def _left(run: str, state: Path) -> Iterator[tuple[int, str]]:
    """The processes of a run, with their marks."""
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        # Another project may have a run of the same name.
        ours = pid != os.getpid() and _variable(pid, RUN) == run and _variable(pid, STATE) == str(state)
        marked = _variable(pid, MARK) if ours else ""
        if marked:
            yield pid, marked


def clear(pid: int, marked: str) -> None:
    """After the end of a task: end what it started and left running, in whatever session."""
    signal_group(pid, signal.SIGKILL)
    _clear(lambda each: _variable(each, MARK) == marked)


def clear_session(number: int) -> None:
    """After the end of the process that began a session: end the others in it."""
    _clear(lambda each: _stat(each, 3) == str(number))


def _clear(concerns: Callable[[int], bool]) -> None:
    """End processes that came to us because their parents have ended."""
    tried: set[int] = set()
    # Again until there is no other: what an ended one had started comes to us only then.
    while found := [each for each in _adopted() if each not in tried and concerns(each)]:
        tried.update(found)
        for each in found:
            _kill(each)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group; one that is gone needs none."""
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


def _adopted() -> Iterator[int]:
    """The processes whose parent this one is; orphans of tasks come to us, since we are their subreaper."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        return
    yield from map(int, text.split())


def _stat(pid: int, field: int) -> str:
    """What the kernel says of a process, by the place behind its name; even of one that has ended and still counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[field]
    except (OSError, IndexError):
        return ""


def _variable(pid: int, name: str) -> str:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    prefix = f"{name}=".encode()
    return next(
        (each[len(prefix) :].decode("utf-8", "replace") for each in raw.split(b"\0") if each.startswith(prefix)), ""
    )
