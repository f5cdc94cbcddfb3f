"""Processes that answer chunks side by side: answers come in order, and a process that dies takes one record along."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import orchestrator
from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving.batch import answering, worker
from orchestrator.serving.batch.records import Chunk
from orchestrator.serving.batch.task import Answered, Task
from orchestrator.serving.batch.worker import Failed, Ready, Whole

T = TypeVar("T")

LOAD_SECONDS = 300.0
# So many processes may end one after another with nothing answered between them.
DEATHS = 16
_SYSTEM = "model"


class LostError(Exception):
    """A process ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Named:
    """The model of a batch: where it is, what it must be, and what to call it."""

    path: Path
    digest: str
    label: str


class Process:
    """One process with the model in it."""

    def __init__(self, model: Named, count: int) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        environment = worker.environment(os.environ, count)
        ours = str(Path(orchestrator.__file__).parent.parent)
        search = [str(Path(part).absolute()) for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*search, ours]))
        # -P: what lies in the working folder is data, and no module of ours.
        command = [sys.executable, "-P", "-m", "orchestrator.serving.batch", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        try:
            self._connection.send((str(model.path), model.digest))
            found = self._received(LOAD_SECONDS)
        except LostError as error:
            self.end()
            raise BackendError(_SYSTEM, f"{model.label} cannot be loaded: {error}") from error
        if isinstance(found, Failed):
            self.end()
            raise OrchestratorError(f"{model.label}: {found.message}", hint=found.hint)
        self.ready: Ready = found

    def ask(self, request: Any, seconds: float) -> Any:
        """What the process answers. Raises LostError."""
        try:
            self._connection.send(request)
        except OSError as error:
            raise LostError(self._ended()) from error
        return self._received(seconds)

    def end(self) -> None:
        """End the process now. The connection closes with its last reader: a thread may still wait for it."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def _received(self, seconds: float) -> Any:
        connection: Connection[Any, Any] = self._connection
        try:
            if not connection.poll(seconds):
                raise LostError(f"no answer within {seconds:g} s")
            return connection.recv()
        except (EOFError, OSError) as error:
            raise LostError(self._ended()) from error

    def _ended(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "its process closed the connection"
        killed = " (out of memory?)" if code == -9 else ""
        return f"its process was ended by signal {-code}{killed}" if code < 0 else f"its process ended with {code}"


class Pool:
    """As many processes as are wanted, each started when there is work for it."""

    def __init__(self, model: Named, count: int, *, seconds: float, retries: int) -> None:
        self._model, self._count, self._seconds, self._retries = model, count, seconds, retries
        self._idle: queue.LifoQueue[Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._alive: set[Process] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._deaths = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        for process in alive:
            process.end()

    def ready(self) -> Ready:
        """What the model takes and gives, from a process that has loaded it."""
        return self._with(lambda process: process.ready)

    def whole(self, request: Whole) -> bytes | Failed:
        """The answer to a file that is one request, tried again when its process is lost."""
        for attempt in range(self._retries + 1):
            try:
                found: bytes | Failed = self._with(lambda process: process.ask(request, self._seconds))
            except LostError as error:
                if attempt == self._retries:
                    return Failed(str(error))
                continue
            return found
        raise AssertionError

    def answers(self, task: Task, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """What each chunk is answered with, in their order; only a few of them are held at any time."""
        waiting: deque[tuple[Chunk, Future[Answered]]] = deque()
        threads = ThreadPoolExecutor(self._count, thread_name_prefix="batch")
        try:
            for chunk in chunks:
                waiting.append((chunk, threads.submit(self._answered, task, chunk)))
                if len(waiting) > 2 * self._count:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            # Who leaves early has no use for the rest, and `with` ends the processes that threads still wait for.
            threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, task: Task, chunk: Chunk) -> Answered:
        attempts = 1 if len(chunk) > 1 else 1 + self._retries
        reason = ""
        for _ in range(attempts):
            try:
                found = self._with(lambda process: process.ask((task, chunk), self._seconds))
            except LostError as error:
                reason = f"the model failed: {error}"
                continue
            if isinstance(found, Failed):
                raise OrchestratorError(f"{self._model.label}: {found.message}", hint=found.hint)
            with self._lock:
                self._deaths = 0
            return found  # type: ignore[no-any-return]
        if len(chunk) == 1:
            return answering.refused(task, chunk, reason)
        first, second = (self._answered(task, half) for half in chunk.halves())
        return Answered(first.bodies + second.bodies, first.rejected + second.rejected, first.unread | second.unread)

    def _with(self, act: Callable[[Process], T]) -> T:
        process = self._idle.get()
        try:
            if process is None:
                process = self._started()
            return act(process)
        except LostError as error:
            self._lost(process, error)
            process = None
            raise
        finally:
            self._idle.put(process)

    def _started(self) -> Process:
        if not self._closed:
            process = Process(self._model, self._count)
            with self._lock:
                if not self._closed:
                    self._alive.add(process)
                    return process
            process.end()
        raise OrchestratorError("the batch was given up")

    def _lost(self, process: Process | None, error: LostError) -> None:
        with self._lock:
            self._deaths += 1
            deaths, closed = self._deaths, self._closed
            if process is not None:
                self._alive.discard(process)
        if process is not None and not closed:
            process.end()
        if deaths > DEATHS + self._count:
            message = f"{self._model.label} was lost {deaths} times with nothing answered in between: {error}"
            raise BackendError(_SYSTEM, message) from error
