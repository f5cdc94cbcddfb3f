"""The thread that writes what was captured for one endpoint: what it cannot keep up with is dropped, and counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from orchestrator.errors import OrchestratorError
from orchestrator.serving.capture.files import Files, FullError

_log = logging.getLogger(__name__)

QUEUE_BYTES = 32 * 1024 * 1024
QUEUE_LINES = 20_000
TRIES = 5
_AGAIN_SECONDS = 1.0
# How long a full disk is left alone before it is looked at again.
_STOP_SECONDS = 10.0
# A thread with nothing to do ends; the next exchange starts another.
_IDLE_SECONDS = 60.0
_SAY_SECONDS = 60.0

Reason = Literal["queue", "size", "disk", "write"]
Dropped = Callable[[Reason, int], None]
Captured = Callable[[int], None]
Line = Callable[[], bytes]


class Item(NamedTuple):
    """One exchange to be written: its line, or how to make it, and what it takes in the queue."""

    folder: str
    line: bytes | Line
    size: int


class Writer:
    """A bounded queue and the thread that empties it. `offer` may be called from any thread and never waits."""

    def __init__(self, name: str, files: Files, captured: Captured, dropped: Dropped) -> None:
        self.stopped = ""  # Why nothing is written at the moment.
        self._name = name
        self._files = files
        self._captured = captured
        self._dropped = dropped
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._items: list[Item] = []
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._silent_until = 0.0
        self._said = -_SAY_SECONDS

    @property
    def is_refusing(self) -> bool:
        """Whether an exchange need not even be looked at: the disk is full."""
        return time.monotonic() < self._silent_until

    def refuse(self) -> None:
        """Count an exchange that was not looked at."""
        self._dropped("disk", 1)

    def offer(self, item: Item) -> None:
        """Queue one exchange, or drop it."""
        if item.size > QUEUE_BYTES:
            self._dropped("size", 1)
            self._say("%s: an exchange of %s bytes is too large to be captured", f"{item.size:,}")
            return
        with self._lock:
            if not self._closing and self._bytes + item.size <= QUEUE_BYTES and len(self._items) < QUEUE_LINES:
                self._items.append(item)
                self._bytes += item.size
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=f"capture-{self._name}", daemon=True)
                    self._thread.start()
                elif len(self._items) == 1 or self._bytes >= self._files.gather_bytes:
                    self._changed.notify()
                return
        self._dropped("queue", 1)
        self._say("%s: the queue of capture is full: requests come in faster than %s", "they are written")

    def close(self, seconds: float) -> None:
        """Write what is queued, for at most so long, and take nothing more."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return
        thread.join(seconds)
        if thread.is_alive():
            _log.warning("%s: capture was not done within %g s; what it had left is lost", self._name, seconds)

    def _run(self) -> None:
        while items := self._gathered():
            by_folder: dict[str, list[bytes]] = defaultdict(list)
            for item in items:
                by_folder[item.folder].append(item.line if isinstance(item.line, bytes) else item.line())
            for folder, lines in by_folder.items():
                self._write(folder, lines)

    def _gathered(self) -> Sequence[Item]:
        """The next exchanges to write; none when the thread is to end."""
        with self._changed:
            if not self._items and not self._closing:
                self._changed.wait(_IDLE_SECONDS)
            deadline = time.monotonic() + self._files.gather_seconds
            while self._items and self._bytes < self._files.gather_bytes and not self._closing:
                if (left := deadline - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            items, self._items, self._bytes = self._items, [], 0
            if not items:
                self._thread = None
            return items

    def _write(self, folder: str, lines: Sequence[bytes]) -> None:
        pause = _AGAIN_SECONDS
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                self._files.write(folder, lines)
            except FullError as full:
                self._stop(str(full))
                self._silent_until = time.monotonic() + _STOP_SECONDS
                self._dropped("disk", len(lines))
                return
            except (OSError, OrchestratorError) as error:
                self._stop(error.message if isinstance(error, OrchestratorError) else str(error))
                with self._changed:
                    if tries_left and not self._closing:
                        self._changed.wait_for(lambda: self._closing, pause)
                        pause *= 2
                        continue
                self._dropped("write", len(lines))
                return
            except Exception:  # noqa: BLE001  Whatever a file system does: the thread goes on.
                _log.exception("%s: capture failed", self._name)
                self._dropped("write", len(lines))
                return
            break
        self._captured(len(lines))
        if self.stopped:
            self.stopped = ""
            _log.info("%s: capture goes on", self._name)

    def _stop(self, reason: str) -> None:
        if not self.stopped:
            _log.warning("%s: capture stopped: %s; predictions go on", self._name, reason)
        self.stopped = reason

    def _say(self, message: str, *details: str) -> None:
        """A line in the log, but not one for each request."""
        if time.monotonic() - self._said > _SAY_SECONDS:
            self._said = time.monotonic()
            _log.warning(message, self._name, *details)
