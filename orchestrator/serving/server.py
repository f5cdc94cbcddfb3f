"""The model server as a process: one per state folder, on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import app, backends, declarations, place
from orchestrator.serving.capture.captures import Captures
from orchestrator.serving.host import Host
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.work import Work

DEFAULT_PORT = 8800
POLL_SECONDS = 0.3
DRAIN_SECONDS = 30
# How long a server that was started for a deployment waits for its first declaration.
PATIENCE_SECONDS = 15.0
_PORTS_TRIED = 100
_BACKLOG = 2048

_log = logging.getLogger(__name__)


def serve(
    state: Path, host: str = "127.0.0.1", port: int | None = None, *, detached: bool = False, fixed: bool = False
) -> None:
    """Serve the declarations of `state` until SIGTERM or Ctrl-C; a detached server also ends when none is left.

    A fixed one ends with the reason, an OrchestratorError, when a declaration cannot be loaded: whoever started it, in
    a pod, sees an end sooner than an endpoint that is never ready.
    """
    state = state.absolute()
    with place.held(state), _listening(host, port) as listener:
        bound: str
        number: int
        bound, number = listener.getsockname()[:2]
        about = place.Server.at(bound, number)
        _say_on_stderr()
        place.write(state, about)
        _log.info("serving %s, declarations from %s%s", about.url, state, "" if detached else " (Ctrl-C stops)")
        if not _is_loopback(bound):
            _log.warning("%s can be reached from other machines, and asks nobody who they are", bound)
        try:
            process = _Process(state, detached, fixed)
            with asyncio.Runner(loop_factory=_loop()) as runner:
                runner.run(process.run(listener))
        finally:
            place.forget(state)
            _log.info("stopped")
    if process.failure:
        raise OrchestratorError(process.failure)


@dataclass(slots=True)
class _Process:
    """The event loop's side: uvicorn, and a watch over the declarations."""

    state: Path
    detached: bool
    fixed: bool
    failure: str = ""

    async def run(self, listener: socket.socket) -> None:
        work = Work()
        metrics = Metrics()
        captures = Captures(self.state, metrics)
        host = Host(self.state, backends.load, metrics, [captures])
        config = uvicorn.Config(
            app.create(host, work),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_keep_alive=75,
        )
        server = uvicorn.Server(config)
        # uvicorn raises the signals it got again when it is done; this leaves us the time to tidy up.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        watch = asyncio.create_task(self._watch(host, server))
        try:
            await server.serve(sockets=[listener])
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            work.close()
            captures.close()

    async def _watch(self, host: Host, server: uvicorn.Server) -> None:
        began = time.monotonic()
        while True:
            try:
                await asyncio.to_thread(host.refresh)
            except Exception:  # noqa: BLE001  Whatever it is, requests go on being answered.
                _log.exception("looking at the declarations failed; the next look is in %s s", POLL_SECONDS)
            if self.fixed and (failed := [each for each in host.endpoints.values() if each.reason]):
                self.failure = "; ".join(
                    f"endpoint {each.name!r} could not be loaded: {each.reason}" for each in failed
                )
                server.should_exit = True
                return
            patient = not host.was_used and time.monotonic() - began < PATIENCE_SECONDS
            if self.detached and not host.endpoints and not patient and self._left():
                server.should_exit = True
                return
            await asyncio.sleep(POLL_SECONDS)

    def _left(self) -> bool:
        """Whether nothing is declared; then nobody finds this server any more, so that a new one is started."""
        with declarations.changing(self.state):
            if declarations.names(self.state):
                return False
            place.forget(self.state)
        return True


@contextlib.contextmanager
def _listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """A listening socket on `port`, or on the first free one from the default on when none is asked for."""
    tried = [port] if port is not None else list(range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED))
    for number in tried:
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise BackendError("model server", f"cannot listen on {host!r}: {error.strerror}") from error
        with listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, number))
                listener.listen(_BACKLOG)
            except OSError as error:
                if number != tried[-1] and error.errno in (98, 48):  # EADDRINUSE of Linux and of macOS.
                    continue
                message = f"cannot listen on {host} port {number}: {os.strerror(error.errno or 0).lower()}"
                raise BackendError("model server", message, hint="give another --port, or none") from error
            listener.setblocking(False)
            yield listener
            return


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed: a request costs half as much."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _say_on_stderr() -> None:
    """Our own lines and uvicorn's complaints, on stderr: a detached server's is its log file."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("orchestrator").setLevel(logging.INFO)
