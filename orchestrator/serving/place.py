"""Where the server of a state folder runs. A lock that dies with its process says whether; a file says where."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import declarations
from orchestrator.stores import whole

# A server that is ending, or a look at the lock by somebody else, is over within this.
_LOCK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running model server."""

    url: str
    pid: int
    host: str
    port: int
    started: str
    # What a client on this machine needs to be let in, and to know whom it talks to.
    token_file: str = ""
    certificate: str = ""

    @classmethod
    def at(cls, host: str, port: int, *, token_file: str = "", certificate: str = "") -> Server:
        """This process, listening on that address."""
        # Who listens on every address is called on loopback by everybody on this machine.
        called = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
        url = f"{'https' if certificate else 'http'}://{called}:{port}"
        started = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(url, os.getpid(), host, port, started, token_file, certificate)


def find(state: Path) -> Server | None:
    """The server of a state folder, or None when none runs; what a killed one left behind does not count."""
    if not _is_held(state):
        return None
    try:
        return Server(**json.loads(_file(state).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def port_before(state: Path) -> int | None:
    """The port of a server that was killed here, and had no time to forget it."""
    try:
        return int(json.loads(_file(state).read_bytes())["port"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(state: Path, server: Server) -> None:
    """Say where this process serves."""
    whole.write(_file(state), json.dumps(asdict(server), indent=2) + "\n")


def forget(state: Path) -> None:
    """This process serves no longer."""
    _file(state).unlink(missing_ok=True)


def left(state: Path) -> bool:
    """Whether nothing is declared; then nobody finds this server any more, so that a new one is started."""
    with declarations.changing(state):
        if declarations.names(state):
            return False
        forget(state)
    return True


def workers(state: Path) -> Path:
    """Where the processes of a server keep what each counts, and say how each stands."""
    return state / "workers"


@contextlib.contextmanager
def held(state: Path, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Be the one server of a state folder. Raises OrchestratorError when another one is."""
    with _opened(state) as lock:
        deadline = time.monotonic() + seconds
        while not _locked(lock):
            if time.monotonic() > deadline:
                running = find(state)
                where = f" at {running.url} (process {running.pid})" if running else ""
                message = f"a model server for {state} runs already{where}"
                raise OrchestratorError(message, hint="it takes up new endpoints by itself; stop it to start another")
            time.sleep(0.05)
        forget(state)
        yield


def wait_until_free(state: Path, seconds: float) -> bool:
    """Whether the server of a state folder ended within that time."""
    deadline = time.monotonic() + seconds
    while _is_held(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _file(state: Path) -> Path:
    return state / "server.json"


def _is_held(state: Path) -> bool:
    if not (state / "server.lock").exists():
        return False
    with _opened(state) as lock:
        return not _locked(lock)


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opened(state: Path) -> Iterator[IO[str]]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "server.lock").open("a")
    except OSError as error:
        raise BackendError("state folder", f"{state} cannot be written: {error.strerror}") from error
    with lock:
        yield lock
