"""One process that answers requests: uvicorn on its event loop, and a watch over the declarations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from orchestrator import __version__
from orchestrator.errors import OrchestratorError
from orchestrator.serving import app, backends, declarations, fleet, place, voice, wire
from orchestrator.serving.answer import Answering
from orchestrator.serving.capture.captures import Captures
from orchestrator.serving.fleet import Alone, Fleet, Report
from orchestrator.serving.gate import Gate
from orchestrator.serving.host import Host
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.options import Options
from orchestrator.serving.page import About
from orchestrator.serving.queue.queue import Queue
from orchestrator.serving.tls import Certificate
from orchestrator.serving.tokens import Tokens
from orchestrator.serving.work import Work

POLL_SECONDS = 0.3
# How long a server that was started for a deployment waits for its first declaration.
PATIENCE_SECONDS = 15.0
_KEEP_ALIVE_SECONDS = 75
_SILENCE_SECONDS = 60.0
_EXIT_SECONDS = 0.1

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """The event loop's side of a server, or of one of its processes."""

    state: Path
    options: Options
    tokens: Tokens | None
    certificate: Certificate | None
    metrics: Metrics
    peers: Alone | Fleet = field(default_factory=Alone)
    failure: str = ""
    _strangers: deque[str] = field(default_factory=lambda: deque(maxlen=10))
    _told: float = -math.inf
    # Its own thread: the loop's are waited for at the end, and a model that is being loaded cannot be stopped.
    _looks: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "declarations"))

    async def run(self, listener: socket.socket, *, loaded_first: bool = False, until: int | None = None) -> None:
        """Answer until told to stop, or until nobody holds the other end of the pipe `until` any more.

        `loaded_first`: requests are taken when every model is loaded, because others take them meanwhile.
        """
        work = Work()
        captures = Captures(self.state, self.metrics)
        queue = Queue(self.state, self.metrics)
        host = Host(self.state, backends.load, self.metrics, [captures, queue, work], self.options.room)
        answering = Answering(host, work)
        server = self._server(answering, queue, captures)
        # uvicorn raises the signals it got again when it is done; this leaves us the time to tidy up.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        if until is not None:
            asyncio.get_running_loop().add_reader(until, self._orphaned, server, until)
        if loaded_first:
            await self._look(host)
        try:
            # In this order: who cannot start has told the others nothing yet.
            async with self._rpc(answering, server, listener), self._watching(host, server):
                await server.serve(sockets=[listener])
        finally:
            self._looks.shutdown(wait=False, cancel_futures=True)
            work.close()
            queue.close()
            captures.close()

    def _server(self, answering: Answering, queue: Queue, captures: Captures) -> uvicorn.Server:
        about = About(__version__, self.options.workers, self.tokens is not None, time.monotonic(), captures)
        application = app.create(answering.host, answering.work, self.peers, queue, about, answering=answering)
        guarded = application if self._is_open else Gate(application, self.tokens, self._refused)
        config = uvicorn.Config(
            guarded,
            http=wire.Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=declarations.SHORT_SECONDS,
        )
        config.load()
        if self.certificate is not None:
            config.ssl = self.certificate.context
        return uvicorn.Server(config)

    @contextlib.asynccontextmanager
    async def _rpc(self, answering: Answering, http: uvicorn.Server, listener: socket.socket) -> AsyncIterator[None]:
        """V2 by gRPC beside HTTP, where that was asked for: it begins and ends with it."""
        if self.options.grpc_port is None:
            yield
            return
        try:
            from orchestrator.serving.rpc import guard, server, service
        except ImportError as error:
            hint = "pip install 'orchestrator[grpc]'"
            raise OrchestratorError(f"gRPC needs {error.name}, which is not installed", hint=hint) from error
        answers = service.Service(answering.host, answering, self.peers, __version__)
        place = server.Place(
            listener.getsockname()[0], self.options.grpc_port, self.certificate, self.options.workers > 1
        )
        watched = guard.Guard(self.tokens, self._refused) if self.tokens is not None else None
        rpc = await server.start(answers, place, watched)

        async def drained() -> None:
            while not http.should_exit:
                await asyncio.sleep(_EXIT_SECONDS)
            await rpc.stop(declarations.longest_answer(_served(answering.host)))

        draining = asyncio.create_task(drained())
        try:
            yield
        finally:
            http.should_exit = True
            if http.force_exit:  # Whoever asked twice does not want to wait.
                await rpc.stop(None)
            await draining

    @property
    def _is_open(self) -> bool:
        """Whether something else guards the server."""
        return self.options.insecure and self.tokens is None

    def _refused(self, status: int, client: str) -> None:
        self.metrics.request("", "", "", "", status)
        self._strangers.append(client)

    def _tell_of_strangers(self, now: float) -> None:
        """Not of each: whoever guesses tokens would fill the disk."""
        if self._strangers and now - self._told > _SILENCE_SECONDS:
            known = ", ".join(sorted(set(self._strangers)))
            _log.warning("requests were not let in, the last ones from %s", known)
            self._strangers.clear()
            self._told = now

    @staticmethod
    def _orphaned(server: uvicorn.Server, until: int) -> None:
        asyncio.get_running_loop().remove_reader(until)
        _log.error("the process that started this one is gone: it ends, too")
        server.should_exit = True

    @contextlib.asynccontextmanager
    async def _watching(self, host: Host, server: uvicorn.Server) -> AsyncIterator[None]:
        watch = asyncio.create_task(self._watch(host, server))
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _watch(self, host: Host, server: uvicorn.Server) -> None:
        began = time.monotonic()
        while True:
            await self._look(host)
            # What was asked is answered before the server ends; no answer takes longer than this.
            config = server.config
            config.timeout_graceful_shutdown = math.ceil(declarations.longest_answer(_served(host)))
            now = time.monotonic()
            wire.hurry(server.server_state.connections, now)
            self._tell_of_strangers(now)
            if self.tokens is not None:
                self.tokens.refresh()
            if self.certificate is not None:
                self.certificate.refresh()
            if self._has_failed(host) or self._is_idle(host, time.monotonic() - began):
                server.should_exit = True
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, host: Host) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._looks, host.refresh)
            await loop.run_in_executor(self._looks, self.peers.publish, fleet.report(host))
        except Exception:  # noqa: BLE001  Whatever it is, requests go on being answered.
            _log.exception("looking at the declarations failed; the next look is in %s s", POLL_SECONDS)

    def _has_failed(self, host: Host) -> bool:
        failed = [each for each in host.endpoints.values() if each.reason] if self.options.fixed else []
        if failed:
            self.failure = "; ".join(f"endpoint {each.name!r} could not be loaded: {each.reason}" for each in failed)
            self.peers.publish(Report(failure=self.failure))
        return bool(failed)

    def _is_idle(self, host: Host, seconds: float) -> bool:
        """Whether a server that was started for its endpoints has none; of several processes the first one decides."""
        if not self.options.detached or self.peers.count > 1 or host.endpoints:
            return False
        patient = not host.was_used and seconds < PATIENCE_SECONDS
        return not patient and place.left(self.state)


def _served(host: Host) -> list[declarations.Declaration]:
    return [each.hosted.declaration for each in host.endpoints.values() if each.hosted is not None]


def start(worker: Worker, listener: socket.socket, *, loaded_first: bool = False, until: int | None = None) -> None:
    """Run a worker in this process until it ends."""
    with asyncio.Runner(loop_factory=_loop()) as runner:
        runner.run(worker.run(listener, loaded_first=loaded_first, until=until))


@dataclass(frozen=True, slots=True)
class Handed:
    """What the first process of a server hands down to a worker."""

    slot: int
    listener: int
    until: int
    loaded_first: bool


def of_fleet(state: Path, options: Options, handed: Handed) -> int:
    """Be one worker of several; the exit code."""
    voice.speak(f"[worker {handed.slot + 1}] ")
    try:
        failure = _fleet_worker(state, options, handed)
    except OrchestratorError as error:
        # One that takes the place of another is started again: what it lacks may come back.
        if handed.loaded_first:
            raise
        # Of those that the server started with the others fare no better: it ends, and says the reason.
        fleet.write(place.workers(state), handed.slot, Report(failure=str(error)))
        return error.exit_code
    return int(bool(failure))


def _fleet_worker(state: Path, options: Options, handed: Handed) -> str:
    """Run it until it ends; what it failed for, or ""."""
    folder = place.workers(state)
    worker = Worker(
        state,
        options,
        Tokens(options.token_file) if options.token_file else None,
        Certificate(options.certificate, options.key) if options.certificate and options.key else None,
        Metrics(folder / "counts", handed.slot),
        Fleet(folder, handed.slot, options.workers),
    )
    # What a model starts must not keep them.
    os.set_inheritable(handed.until, False)
    os.set_inheritable(handed.listener, False)
    with socket.socket(fileno=handed.listener) as inherited:
        inherited.setblocking(False)
        start(worker, inherited, loaded_first=handed.loaded_first, until=handed.until)
    return worker.failure


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed: a request costs half as much."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
