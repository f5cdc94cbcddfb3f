"""Rows of the state database as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.stores.artifacts import Values

LOCAL = "local"
KFP = "kfp"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it was recorded; times are seconds since the epoch."""

    id: str
    pipeline: str
    status: str
    reason: str
    started: float
    finished: float | None
    arguments: Mapping[str, Any]
    outputs: Values
    ir: str
    """The compiled pipeline, so that a run can be resumed and explained after its file changed."""
    source: str
    """The file the run was started from."""
    base: str
    """The folder against which relative paths in the IR are resolved."""
    code_paths: tuple[str, ...]
    options: Mapping[str, Any]
    pid: int
    pid_started: str

    @property
    def on(self) -> str:
        """Where its tasks run: `local`, or `kfp`."""
        return str(self.options.get("on") or LOCAL)

    @property
    def remote(self) -> Mapping[str, Any]:
        """What is known of it where it runs, if that is not this machine."""
        found: Mapping[str, Any] = self.options.get(self.on) or {}
        return found


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task of a run as it was recorded."""

    run: str
    path: str
    name: str
    component: str
    status: str
    reason: str
    attempt: int
    started: float | None
    finished: float | None
    inputs: Values
    outputs: Values
    cache_key: str
    cached_from: str
    log: str
    warnings: tuple[str, ...]
    key_parts: Mapping[str, str] = field(default_factory=dict)
    """What the cache key is the digest of."""
    missed: str = ""
    """Why outputs under that very key were not taken, if there were any."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a task that was tried again; the last one ended with the task."""

    number: int
    started: float | None
    finished: float | None
    reason: str
    log: str


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Outputs that may be used again."""

    run: str
    path: str
    outputs: Values
    created: float
    key: str = ""
    name: str = ""
    """The task's name in its run, where it was asked for."""
