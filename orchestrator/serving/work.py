"""Model work: on the event loop when it is short, in a thread when it is long, never more at once than allowed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# A body of this size decodes in well under a millisecond.
SMALL_BODY = 16 * 1024


class Work:
    """The threads that long model calls run in."""

    def __init__(self, threads: int | None = None) -> None:
        count = threads or max(2, os.cpu_count() or 2)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="model")

    async def run(self, call: Callable[[], T], *, short: bool, finished: Callable[[], None]) -> T:
        """The result of `call`. `finished` is called on the loop when the work truly ended, even after a timeout."""
        if short:
            try:
                return call()
            finally:
                finished()
        loop = asyncio.get_running_loop()
        future = self._pool.submit(call)

        def ended(_: object) -> None:
            # A thread cannot be stopped: after a timeout its work still takes its place until it ends.
            try:
                loop.call_soon_threadsafe(finished)
            except RuntimeError:  # The loop closed meanwhile: nobody counts any more.
                return

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """The result of `call` in a thread, as something that the event loop waits for."""
        return asyncio.wrap_future(self._pool.submit(call))

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
