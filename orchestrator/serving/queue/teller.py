"""The thread that tells others what became of requests, again and again until they take it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.queue import notice
from orchestrator.serving.queue.store import NOTICE_TRIES, Notice, Store

_log = logging.getLogger(__name__)

# One listener that hangs does not keep the others from being told.
_AT_ONCE = 4
_AGAIN_SECONDS = 1.0
_MOST_SECONDS = 300.0


class Teller:
    """Sends what the store says is due."""

    def __init__(self, store: Store, state: Path, declared: Callable[[], Mapping[str, Declaration]]) -> None:
        self._store = store
        self._state = state
        self._declared = declared
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="notice")
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def tell(self) -> None:
        """Begin to send what is due; it returns at once."""
        for due in self._store.notices(time.time()):
            with self._lock:
                if due.item.id in self._under_way:
                    continue
                self._under_way.add(due.item.id)
            self._pool.submit(self._send, due)

    def close(self) -> None:
        """Send no more; what was not sent is sent by the next server."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, due: Notice) -> None:
        try:
            self._store.noticed(due.item.id, self._sent(due))
        except BackendError as error:
            _log.error("%s: request %s: %s", due.item.endpoint, due.item.id, error.message)
        finally:
            with self._lock:
                self._under_way.discard(due.item.id)

    def _sent(self, due: Notice) -> float | None:
        """When to send it again; None when that is over."""
        item = due.item
        declaration = self._declared().get(item.endpoint)
        wanted = declaration.spec.asynchronous if declaration is not None else None
        url = notice.address(wanted.notify, item.status) if wanted is not None else ""
        if wanted is None or not url:
            return None
        secret = self._state / wanted.notify.secret if wanted.notify.secret else None
        try:
            notice.send(url, item, secret)
        except BackendError as error:
            if due.tries + 1 >= NOTICE_TRIES:
                _log.error("%s: request %s is not told of: %s", item.endpoint, item.id, error.message)
                return None
            _log.warning("%s: request %s is told of later: %s", item.endpoint, item.id, error.message)
            return time.time() + min(_MOST_SECONDS, _AGAIN_SECONDS * float(2**due.tries))
        return None
