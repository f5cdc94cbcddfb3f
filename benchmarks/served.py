"""Servers as processes: started on a free port, asked over one connection, their CPU and memory read from /proc."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent again and again."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    first: float
    """Seconds from its start to its first good answer."""

    def cpu(self) -> float:
        """Seconds of CPU of all its processes."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))

    def mib(self) -> float:
        """Memory that is its own (proportional set size), of all its processes."""
        return sum(_pss(pid) for pid in _tree(self.process.pid)) / 1024

    def ask(self, request: Request, times: int) -> bytes:
        """The last answer. Raises RuntimeError for one that is not 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            answer = b""
            for _ in range(times):
                connection.request("POST", request.path, request.body, dict(request.headers))
                response = connection.getresponse()
                answer = response.read()
                if response.status != 200:
                    raise RuntimeError(f"{response.status}: {answer[:300]!r}")
            return answer


@contextlib.contextmanager
def running(command: Sequence[str], port: int, request: Request, environment: Mapping[str, str]) -> Iterator[Running]:
    """A server started by `command`, from its first good answer on, until the block ends."""
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **environment}, start_new_session=True
        )
        try:
            yield Running(process, port, _first(process, port, request, log) - began)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _first(process: subprocess.Popen[bytes], port: int, request: Request, log: object) -> float:
    while True:
        try:
            Running(process, port, 0).ask(request, 1)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            if process.poll() is not None or (isinstance(error, RuntimeError) and str(error).startswith("400")):
                log.seek(0)  # type: ignore[attr-defined]
                raise SystemExit(f"{error}\n{log.read().decode()[-3000:]}") from error  # type: ignore[attr-defined]
            time.sleep(0.01)
        else:
            return time.monotonic()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in task.read_text().split())
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("Pss:")).split()[1])
