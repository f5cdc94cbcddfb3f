"""What happens in a run, as values; and the statuses of KFP.

A runner yields these; whatever shows, records or reacts listens to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.stores.artifacts import NOTHING, Values


class Status(StrEnum):
    """A task's or a run's state. REJECTED and UNDECIDED are ours: a run that succeeded and whose gate said no."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SKIPPED = "SKIPPED"
    """The outputs came from the cache."""
    NOT_TRIGGERED = "NOT_TRIGGERED"
    """The condition was false, or an upstream task was not triggered."""
    UNSCHEDULABLE = "UNSCHEDULABLE"
    """An upstream task failed."""
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    """Runs only: a gate decided against publication."""
    UNDECIDED = "UNDECIDED"
    """Runs only: a gate could not be evaluated, and so nothing was published."""

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self not in (Status.PENDING, Status.RUNNING)

    @property
    def good(self) -> bool:
        """Whether outputs are there."""
        return self in (Status.SUCCEEDED, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class TaskId:
    """A task of a run: its path through the DAGs, and the name a person knows it by."""

    path: str
    """Unique in the run, e.g. `exit-handler-1/for-loop-2/3/score`."""
    name: str
    """Without the groups a compiler adds, e.g. `score[3]`."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event of a run."""

    run: str
    pipeline: str
    arguments: Mapping[str, Any]
    tasks: tuple[TaskId, ...]
    """What can be known before loops are unrolled, in order of the graph."""
    at: float
    """Seconds since the epoch, like every `at`."""


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A process (attempt 1, 2, ...) begins."""

    task: TaskId
    at: float
    inputs: Values = NOTHING
    log: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """A task said how far it is."""

    task: TaskId
    done: float
    total: float
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class TaskRetried:
    """An attempt failed and another will follow after `delay` seconds."""

    task: TaskId
    attempt: int
    reason: str
    delay: float
    at: float


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task came to its final status."""

    task: TaskId
    status: Status
    at: float
    started: float = 0
    reason: str = ""
    inputs: Values = NOTHING
    outputs: Values = NOTHING
    cache_key: str = ""
    cached_from: str = ""
    """`run/path` of the task whose outputs were taken."""
    key_parts: Mapping[str, str] = field(default_factory=dict)
    """What the cache key is the digest of."""
    missed: str = ""
    """Why outputs under that very key were not taken, if there were any."""
    log: str = ""
    component: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know and that stops nothing."""

    message: str
    at: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a run."""

    run: str
    status: Status
    at: float
    reason: str = ""
    outputs: Values = NOTHING


Event = RunStarted | TaskStarted | TaskProgress | TaskRetried | TaskFinished | Warned | RunFinished
