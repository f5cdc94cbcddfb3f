"""A few threads for what may take long, such as writing to a place that hangs: each request at most once at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from orchestrator.errors import BackendError

_log = logging.getLogger(__name__)

Errand = tuple[str, Callable[[], None]]
"""The id of a request, and what is to be done for it."""


class Crew:
    """Whoever gives it work, from one thread, is not kept waiting."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, look: Callable[[], Iterable[Errand]]) -> None:
        """Begin what `look` finds, but for requests that are under way."""
        # Looked up before: what ends while `look` looks is found as it was, and is not to be done twice.
        with self._lock:
            under_way = frozenset(self._under_way)
        for id, work in look():
            if id not in under_way:
                with self._lock:
                    self._under_way.add(id)
                self._pool.submit(self._do, id, work)

    def close(self) -> None:
        """Begin no more; what was not done is found by the next server."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, id: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BackendError as error:
            _log.error("request %s: %s", id, error.message)
        except Exception:  # noqa: BLE001  Nobody looks at what a thread of a pool raised: it would not be known.
            _log.exception("request %s", id)
        finally:
            with self._lock:
                self._under_way.discard(id)
