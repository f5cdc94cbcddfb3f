"""A process that answers queued requests of one endpoint, one at a time, from the outside: it may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.queue.item import Item, Outcome

LOAD_SECONDS = 600.0
_LOOK_SECONDS = 0.2
# Of these a process that is let go spends most on writing what it captured.
_END_SECONDS = 8.0
# Counting several processes as one is for those that answer over HTTP.
_NOT_FOR_IT = ("PROMETHEUS_MULTIPROC_DIR",)

Stop = Callable[[], str]
"""Why what is being answered is to be given up now; "" while it is not."""


class EndedError(Exception):
    """The process is no more, or says what nobody understands."""


class StoppedError(Exception):
    """Somebody wanted it to stop, or it took too long; the process is killed."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a request is read from, and what its answer is written to, on this machine."""

    body: Path
    answer: Path


class Hand:
    """Started by the first request; whoever uses it closes it."""

    def __init__(self, declaration: Declaration, folder: Path, state: Path) -> None:
        self.name = declaration.name
        self.fingerprint = declarations.fingerprint(declaration)
        self._folder = folder
        self._said = b""
        self._counts: Counter[str] = Counter()
        self._is_loaded = False
        self._is_done = False
        self._idle_since = 0.0
        declarations.write(folder, declaration)
        command = [sys.executable, "-m", "orchestrator.serving.queue"]
        command += ["--folder", str(folder), "--state", str(state), "--name", declaration.name]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT},
            start_new_session=True,
        )

    @property
    def is_usable(self) -> bool:
        """Whether it may be given another request."""
        return not self._is_done and self._process.poll() is None

    @property
    def idle_seconds(self) -> float:
        return time.monotonic() - self._idle_since

    def rest(self) -> None:
        """It has nothing to do from now on."""
        self._idle_since = time.monotonic()

    def answer(self, item: Item, files: Files, seconds: float, stop: Stop) -> Outcome:
        """The outcome of a request, whose answer is then in its file."""
        try:
            if not self._is_loaded and (why := self._why_not_loaded(stop)):
                self._is_done = True
                return Outcome("Failed", why, retry=True, code=503)
            self._say(item, files, seconds)
            said = self._heard(time.monotonic() + seconds, stop)
        except StoppedError as stopped:
            self._is_done = True
            return Outcome("Failed", str(stopped) or f"the model did not answer within {item.timeout:g} s", code=504)
        except EndedError:
            self._is_done = True
            return Outcome("Failed", f"the process that answered it {self._end()}", retry=True, code=500)
        variant, version = said.get("variant", ""), said.get("version", "")
        if "error" in said:
            return Outcome("Failed", said["error"], "", said["status"], variant, version)
        return Outcome("Completed", "", said["content_type"], 200, variant, version)

    def counted(self) -> Mapping[str, int]:
        """What it captured and dropped, since this was asked last; it returns at once."""
        with contextlib.suppress(EndedError, StoppedError):
            self._heard(0.0, lambda: "")
        counts, self._counts = self._counts, Counter()
        return counts

    def release(self) -> None:
        """Let it end, without waiting for that."""
        with contextlib.suppress(OSError):  # It may be gone already.
            if self._process.stdin is not None:
                self._process.stdin.close()

    def close(self, *, kill: bool = False) -> Mapping[str, int]:
        """End the process, and whatever it started; what it was doing is lost. What it had left to count is given."""
        process = self._process
        self.release()
        if not kill:
            with contextlib.suppress(EndedError, StoppedError):
                self._heard(time.monotonic() + _END_SECONDS, lambda: "")
        # Its session is its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._counts

    def _why_not_loaded(self, stop: Stop) -> str:
        """Wait until it has loaded the model; "" once it has. Raises EndedError or StoppedError."""
        try:
            said = self._heard(time.monotonic() + LOAD_SECONDS, stop)
        except StoppedError as stopped:
            if str(stopped):
                raise
            return f"the model was not loaded within {LOAD_SECONDS:g} s"
        if "failed" in said:
            return f"the model could not be loaded: {said['failed']}"
        self._is_loaded = True
        return ""

    def _say(self, item: Item, files: Files, seconds: float) -> None:
        message = {
            "protocol": item.protocol,
            "headers": dict(item.headers),
            "body": str(files.body),
            "answer": str(files.answer),
            "seconds": seconds,
        }
        try:
            assert self._process.stdin is not None  # noqa: S101  It is a pipe.
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise EndedError from error

    def _heard(self, deadline: float, stop: Stop) -> Mapping[str, Any]:
        """The next thing it says of a request. Raises EndedError or StoppedError."""
        while True:
            try:
                said: dict[str, Any] = json.loads(self._line(deadline, stop))
                self._counts.update(said.pop("counts", {}))
            except ValueError as error:
                raise EndedError from error
            if said:
                return said

    def _line(self, deadline: float, stop: Stop) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  It is a pipe.
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._said:
            if reason := stop():
                raise StoppedError(reason)
            left = deadline - time.monotonic()
            if select.select([pipe], [], [], max(0.0, min(left, _LOOK_SECONDS)))[0]:
                piece = os.read(pipe, 65536)
                if not piece:
                    raise EndedError
                self._said += piece
            elif left <= 0:
                raise StoppedError
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _end(self) -> str:
        """How it ended, in words."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "said what nobody understands"
        if code != -signal.SIGKILL:
            return f"ended ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        return "was killed (by the system perhaps, for want of memory)"
