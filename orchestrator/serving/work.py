"""Model work: on the event loop when it is short, in a thread when it is long, never more at once than allowed."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from orchestrator.serving.codec import RequestError
from orchestrator.serving.declarations import Declaration

T = TypeVar("T")

# A body of this size decodes in well under a millisecond.
SMALL_BODY = 16 * 1024
# What is slow by nature has threads of its own: an endpoint's name has no colon.
EXPLAINING = ":explain"


class Work:
    """The threads that long model calls run in: some for each endpoint, so that a slow one keeps no other waiting.

    It watches the endpoints for those that are removed: their threads end.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or max(2, os.cpu_count() or 2)
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    async def run(self, name: str, call: Callable[[], T], *, short: bool, finished: Callable[[], None]) -> T:
        """The result of `call`, in the threads of that name.

        `finished` is called on the loop when the work truly ended, even after a timeout.
        """
        if short:
            try:
                return call()
            finally:
                finished()
        loop = asyncio.get_running_loop()
        try:
            future = self._submitted(name, call)
        except BaseException:
            finished()
            raise

        def ended(_: object) -> None:
            # A thread cannot be stopped: after a timeout its work still takes its place until it ends.
            try:
                loop.call_soon_threadsafe(finished)
            except RuntimeError:  # The loop closed meanwhile: nobody counts any more.
                return

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def submit(self, name: str, call: Callable[[], T]) -> asyncio.Future[T]:
        """The result of `call` in a thread of that name, as something that the event loop waits for."""
        return asyncio.wrap_future(self._submitted(name, call))

    def attach(self, _: Declaration) -> None:
        """Threads are made with the first call that is long."""

    def detach(self, name: str) -> None:
        """The endpoint is served no longer: what runs ends, and then its threads do."""
        for each in (name, name + EXPLAINING):
            with self._lock:
                pool = self._pools.pop(each, None)
            if pool is not None:
                pool.shutdown(wait=False)

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        with self._lock:
            self._is_closed = True
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _submitted(self, name: str, call: Callable[[], T]) -> Future[T]:
        # Under the lock: a pool that is taken away takes no more.
        with self._lock:
            if self._is_closed:
                raise RequestError("the server ends", status=503)
            pool = self._pools.get(name)
            if pool is None:
                pool = self._pools[name] = ThreadPoolExecutor(self._threads, thread_name_prefix=f"model {name}")
            return pool.submit(call)
