"""What the server tells of a run and its tasks, in our words, whichever generation of servers it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.runners.events import Status
from orchestrator.stores.artifacts import NOTHING, Values

_RUN = {
    "PENDING": Status.PENDING,
    "RUNNING": Status.RUNNING,
    "PAUSED": Status.RUNNING,
    "CANCELING": Status.RUNNING,
    "SUCCEEDED": Status.SUCCEEDED,
    "SKIPPED": Status.SUCCEEDED,
    "FAILED": Status.FAILED,
    "CANCELED": Status.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task that may be retried."""

    number: int
    started: float
    ended: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A task, a group or a loop as the server has it now."""

    status: Status
    started: float = 0
    ended: float = 0
    reason: str = ""
    pods: tuple[str, ...] = ()
    """The pods of its program, the latest last."""
    attempts: tuple[Attempt, ...] = ()
    inputs: Values = NOTHING
    outputs: Values | None = None
    """None where the server does not tell."""
    of_driver: bool = False
    """Whether the pods are those of the server's own program that prepares a task, and fails before it begins."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run as the server has it now."""

    id: str
    status: Status
    created: float = 0
    ended: float = 0
    reason: str = ""
    cancelling: bool = False
    """Whether it is being ended, or was."""
    pipeline_root: str = ""
    tasks: Mapping[str, Seen] = field(default_factory=dict)
    """By path, groups and loops too."""


def of(run: Mapping[str, Any]) -> SeenRun:
    """A run without its tasks."""
    history = [str(each.get("state", "")) for each in run.get("state_history") or []]
    since = max((index for index, state in enumerate(history) if state == "PENDING"), default=0)
    state = str(run.get("state", ""))
    error = run.get("error") or {}
    config = run.get("runtime_config") or {}
    return SeenRun(
        str(run.get("run_id", "")),
        _RUN.get(state, Status.PENDING),
        seconds(run.get("created_at")),
        seconds(run.get("finished_at")),
        " ".join(str(error.get("message", "")).split())[:600],
        state in ("CANCELING", "CANCELED") or "CANCELING" in history[since:],
        str(config.get("pipeline_root", "")),
    )


def seconds(stamp: Any) -> float:
    """A time of the API, in seconds since the epoch; 0 where there is none: Go's first year stands for never."""
    if not isinstance(stamp, str) or not stamp:
        return 0
    try:
        # Nine digits of a second are more than Python reads.
        whole, point, rest = stamp.removesuffix("Z").partition(".")
        text = f"{whole}.{rest[:6]}" if point and rest[:6].isdigit() else whole
        return max(0.0, datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return 0
