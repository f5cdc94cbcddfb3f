"""Waiting: for processes to end, for messages, for time to pass, and for somebody to interrupt."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from orchestrator.runners.local.process import PRCTL

_PR_SET_CHILD_SUBREAPER = 36
_POLL = 0.05  # Where signals cannot wake the loop (not the main thread), it looks this often.


@dataclass(slots=True)
class Watch:
    """Counts the interruptions, and calls whoever registered a socket when there is something to read."""

    interrupts: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _wakes: bool = False

    def register(self, channel: socket.socket, read: Callable[[], None]) -> None:
        """Call `read` whenever something can be read from a socket."""
        self._selector.register(channel, selectors.EVENT_READ, read)

    def forget(self, channel: socket.socket) -> None:
        """Look at a socket no more."""
        self._selector.unregister(channel)

    def wait(self, seconds: float | None) -> None:
        """Sleep until something happens, at most `seconds`."""
        if not self._wakes:
            seconds = _POLL if seconds is None else min(seconds, _POLL)
        for key, _ in self._selector.select(seconds):
            key.data()

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

    def drain() -> None:
        with contextlib.suppress(BlockingIOError):
            while reader.recv(4096):
                pass

    watch.register(reader, drain)
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
