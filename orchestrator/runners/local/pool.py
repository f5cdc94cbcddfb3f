"""Tasks in line, tasks running, and tasks that pause before another attempt."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator

from orchestrator.runners.events import Event, Status, TaskProgress
from orchestrator.runners.local import scratch
from orchestrator.runners.local.running import Running
from orchestrator.runners.local.work import Work

GRACE = 10.0
"""Seconds a task has to end itself after it was asked to."""
_PROGRESS = 0.25  # Seconds between two looks at the logs of running tasks.


class Pool:
    """As many programs at once as there are workers. What starts one, and what becomes of it, is the caller's."""

    def __init__(self, workers: int, clock: Callable[[], float], tell: Callable[[Event], None]) -> None:
        self.workers = workers
        self.clock = clock
        self.tell = tell
        self._ready: deque[Work] = deque()
        self._running: list[Running] = []
        self._later: list[tuple[float, int, Work]] = []
        self._count = itertools.count()
        self._looked = 0.0

    def add(self, work: Work) -> None:
        """Put a task in line."""
        self._ready.append(work)

    def run(self, running: Running) -> None:
        """Watch a program that was started."""
        self._running.append(running)

    def postpone(self, work: Work, delay: float) -> None:
        """Let a task pause."""
        heapq.heappush(self._later, (self.clock() + delay, next(self._count), work))

    def woken(self) -> Iterator[Work]:
        """The tasks whose pause is over."""
        now = self.clock()
        while self._later and self._later[0][0] <= now:
            yield heapq.heappop(self._later)[2]

    def startable(self) -> Iterator[Work]:
        """The tasks there are workers for; each must have been started, or refused, before the next is taken."""
        while self._ready and len(self._running) < self.workers:
            yield self._ready.popleft()

    def pause(self) -> float | None:
        """Seconds until something has to be looked at; None when only a process or a person can change anything."""
        now = self.clock()
        times = [running.wakes for running in self._running if running.wakes is not None]
        if self._later:
            times.append(self._later[0][0])
        if self._running:
            times.append(now + _PROGRESS)
        return max(0.0, min(times) - now) if times else None

    def ended(self) -> Iterator[tuple[Running, int]]:
        """The programs that ended, with their exit codes; those whose time is over are stopped."""
        now = self.clock()
        look = now - self._looked >= _PROGRESS
        self._looked = now if look else self._looked
        for running in list(self._running):
            code = running.handle.ended()
            if code is not None:
                self._running.remove(running)
                running.handle.clear()
                yield running, code
                continue
            running.enforce(now, GRACE)
            progress = running.lines.last() if look else None
            if progress:
                self.tell(TaskProgress(running.work.id, *progress, now))

    def cancel(self, status: Status, reason: str, *, at_once: bool, spares_final: bool = False) -> list[Work]:
        """Stop what runs, gracefully or at once, and let it come to `status`; what waited is handed back."""
        now = self.clock()
        for running in self._running:
            if not (spares_final and running.work.is_final):
                running.stop(status, reason, now, 0 if at_once else GRACE)
        waiting = [*self._ready, *(work for _, _, work in self._later)]
        spared = [work for work in waiting if spares_final and work.is_final]
        self._ready = deque(spared)
        self._later.clear()
        return [work for work in waiting if work not in spared]

    def kill(self) -> None:
        """End every program at once."""
        for running in self._running:
            running.handle.kill()
            running.handle.wait()
            running.handle.clear()
            scratch.remove(running.spot.scratch)
        self._running.clear()
