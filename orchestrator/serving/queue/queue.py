"""The queue of a server: which endpoints have one, what is taken into it, and what becomes of that."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BackendError
from orchestrator.serving.background import Asynchronous
from orchestrator.serving.codec import RequestError
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Observer
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.queue import location, spool
from orchestrator.serving.queue.item import Item

if TYPE_CHECKING:
    from orchestrator.serving.queue.dispatcher import Dispatcher
    from orchestrator.serving.queue.store import Store

MOST = 100_000
"""Requests of one endpoint that may wait."""
DISK_FULL = 0.9
# What a model or a notification needs to know of a request; what else a client sends, its token say, is not kept.
_HEADERS = ("content-type", "accept", "x-request-id", "x-inference-id", "x-variant", "inference-header-content-length")


class Queue:
    """Watches for endpoints of mode async; without one it takes no thread and no file."""

    def __init__(self, state: Path, metrics: Metrics) -> None:
        self.folder = state / "queue"
        self._state = state
        self.metrics = metrics
        self._declared: dict[str, Declaration] = {}
        self._open: tuple[Store, Dispatcher] | None = None
        self._lock = threading.Lock()

    def attach(self, declaration: Declaration) -> Observer | None:
        if declaration.spec.asynchronous is None:
            self.detach(declaration.name)
            return None
        self._opened()
        self._declared = {**self._declared, declaration.name: declaration}
        self._woken()
        return None

    def detach(self, name: str) -> None:
        # What waits goes on waiting: the endpoint may be deployed again.
        self._declared = {other: each for other, each in self._declared.items() if other != name}

    def close(self) -> None:
        """What is being answered is given up, and goes on with the next server."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            store, dispatcher = opened
            dispatcher.close()
            store.close()

    def wanted(self, name: str) -> Asynchronous:
        """What an endpoint promises of its queue. Raises RequestError when it has none."""
        declaration = self._declared.get(name)
        wanted = declaration.spec.asynchronous if declaration is not None else None
        if wanted is None:
            raise RequestError(f"model {name!r} has no queue: its endpoint file says no mode: async", status=404)
        return wanted

    def body(self, id: str) -> Path:
        """Where the body of a request is put before it is added."""
        return spool.bodies(self.folder) / id

    def check_room(self, name: str) -> None:
        """Raises RequestError when no more can be taken. It may block."""
        with _as_request():
            usage, waiting = shutil.disk_usage(self.folder), self._store().waiting(name)
        if usage.used / (usage.used + usage.free) >= DISK_FULL:
            raise RequestError("the disk of the server is nearly full: try again later", status=503)
        if waiting >= MOST:
            raise RequestError(f"{MOST:,} requests wait already: try again later", status=503)

    def check_input(self, uri: str, wanted: Asynchronous) -> None:
        """Raises RequestError when a client may not name this URI. It may block."""
        if not location.is_allowed(uri, wanted.inputs, self._state):
            message = "x-input-location is not below what async.inputs of the endpoint file lists"
            raise RequestError(message if wanted.inputs else f"{message}: nothing", status=403)

    def add(self, name: str, protocol: str, headers: Mapping[str, str], *, id: str, input: str = "") -> Item:
        """Queue a request, durably. Raises RequestError. It may block."""
        wanted = self.wanted(name)
        declaration = self._declared[name]
        kept = _HEADERS + ((declaration.spec.routing.key,) if declaration.spec.routing is not None else ())
        now = time.time()
        item = Item(
            id,
            name,
            protocol,
            {header: headers[header] for header in kept if header in headers},
            input,
            location.output(wanted, name, id, self._state),
            location.failure(wanted, name, id, self._state),
            received=now,
            expires=now + wanted.ttl_seconds,
            timeout=wanted.timeout_seconds,
        )
        with _as_request():
            if input:
                self.body(id).unlink(missing_ok=True)
            else:
                spool.settle(self.body(id))
            self._store().add(item)
        self._woken()
        return item

    def find(self, name: str, id: str) -> Item:
        """A request. Raises RequestError. It may block."""
        with _as_request():
            item = self._store().find(name, id)
        if item is None:
            raise RequestError(f"model {name!r} has no request {id!r}", status=404)
        return item

    def latest(self, name: str) -> Sequence[Item]:
        """The requests of an endpoint that came last. It may block."""
        with _as_request():
            return self._store().latest(name)

    def cancel(self, name: str, id: str) -> Item:
        """Cancel a request; what is being answered ends a moment later. Raises RequestError. It may block."""
        self.find(name, id)
        with _as_request():
            self._store().cancel(name, id, time.time())
        item = self.find(name, id)
        if item.status == "Cancelled":
            spool.forget(self.folder, item)
        self._woken()
        return item

    def _opened(self) -> None:
        # A server without a queue does not pay for what one needs.
        from orchestrator.serving.queue.dispatcher import Dispatcher
        from orchestrator.serving.queue.ending import Ending
        from orchestrator.serving.queue.store import Store

        with self._lock:
            if self._open is None:
                with contextlib.suppress(FileExistsError):
                    self.folder.mkdir(mode=0o700, parents=True)
                spool.bodies(self.folder).mkdir(exist_ok=True)
                store = Store(self.folder / "queue.db")
                ending = Ending(self.folder, store, self.metrics, lambda: self._declared)
                self._open = (store, Dispatcher(self._state, ending))

    def _store(self) -> Store:
        if self._open is None:
            raise RequestError("the server ends", status=503)
        return self._open[0]

    def _woken(self) -> None:
        if self._open is not None:
            self._open[1].wake()


def new_id() -> str:
    """The name of a request, which nobody guesses."""
    return secrets.token_hex(16)


@contextlib.contextmanager
def _as_request() -> Iterator[None]:
    try:
        yield
    except BackendError as error:
        raise RequestError(error.message, status=503) from error
    except OSError as error:
        raise RequestError(f"the server cannot keep the request: {error.strerror}", status=503) from error
