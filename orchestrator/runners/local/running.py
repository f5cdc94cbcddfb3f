"""A task's program and the clock it runs against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from orchestrator.ir.spec import RetryPolicy
from orchestrator.runners.events import Status
from orchestrator.runners.local import cache, memory
from orchestrator.runners.local.launch import Spot
from orchestrator.runners.local.process import Handle
from orchestrator.runners.local.progress import Lines
from orchestrator.runners.local.work import Work


@dataclass(slots=True)
class Running:
    """A program that runs: when its time is over, and whether it was told to stop."""

    work: Work
    handle: Handle
    spot: Spot
    lines: Lines
    began: float
    limit: float | None = None
    """Seconds it may take."""
    memory_kills: int = field(default_factory=memory.kills)
    """How many processes the kernel had ended for lack of memory when it began."""
    kill_at: float | None = None
    """When it is killed if it has not ended itself."""
    stopped: tuple[Status, str] | None = None
    """What it came to because it was stopped, whatever its exit code says."""

    @property
    def wakes(self) -> float | None:
        """The next time something must be done about it."""
        return self.kill_at if self.stopped or not self.limit else self.began + self.limit

    def starved(self) -> bool:
        """Whether the kernel has ended a process for lack of memory since."""
        return memory.kills() > self.memory_kills

    def stop(self, status: Status, reason: str, now: float, grace: float) -> None:
        """Ask the program to end, and kill it `grace` seconds later; with no grace, at once."""
        self.stopped = self.stopped or (status, reason)
        if grace <= 0:
            self.handle.kill()
            self.kill_at = None
        elif self.kill_at is None:
            self.handle.terminate()
            self.kill_at = now + grace

    def enforce(self, now: float, grace: float) -> None:
        """Stop the program when its time is over, kill it when its grace is."""
        if self.stopped is None and self.limit is not None and now >= self.began + self.limit:
            self.stop(Status.FAILED, f"it took longer than its timeout of {self.limit:g} s", now, grace)
        elif self.kill_at is not None and now >= self.kill_at:
            self.handle.kill()
            self.kill_at = None


def backoff(policy: RetryPolicy, attempt: int) -> float:
    """The pause after a failed attempt: longer by a factor each time (KFP's default is 2), up to a maximum."""
    longest = cache.seconds(policy.backoff_max_duration) or math.inf
    try:
        return min(cache.seconds(policy.backoff_duration) * (policy.backoff_factor or 2.0) ** (attempt - 1), longest)
    except OverflowError:
        return longest
