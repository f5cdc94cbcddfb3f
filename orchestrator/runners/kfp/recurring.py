"""Recurring runs: a pipeline that the server starts by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp.connection import Connection


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and when: by a cron expression or at an interval, not both."""

    name: str
    pipeline: PipelineSpec
    platform: PlatformSpec
    arguments: Mapping[str, Any]
    cron: str = ""
    """Five fields as in crontab, or six with the seconds first, in UTC; `@daily` and the like."""
    interval: int = 0
    """Seconds from one start to the next."""
    start: float = 0
    """Not before, in seconds since the epoch; 0 for at once."""
    end: float = 0
    """Not after; 0 for ever."""
    catchup: bool = False
    """Whether runs that were missed, while it was off or the server was down, are made up for."""
    concurrency: int = 1
    """How many of its runs may go on at once."""
    enabled: bool = True
    experiment: str = ""
    service_account: str = ""
    use_cache: bool = True
    pipeline_root: str = ""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A recurring run as the server has it."""

    id: str
    name: str
    pipeline: str
    """KFP's id of the pipeline; "" where the specification is part of it."""
    version: str
    trigger: str
    """The cron expression, or `every 3600 s`."""
    enabled: bool
    concurrency: int
    catchup: bool
    arguments: Mapping[str, Any]
    created: float
    error: str = ""


def schedule(connection: Connection, plan: Plan) -> Scheduled:
    """Have a pipeline run by the clock. One of that name that is the same stays; one that differs is replaced.

    Raises PipelineError when a parameter has neither a value nor a default or the plan makes no sense, BackendError.
    """
    raise NotImplementedError


def schedules(connection: Connection) -> tuple[Scheduled, ...]:
    """The recurring runs of the namespace, by name."""
    raise NotImplementedError


def enable(connection: Connection, name: str, *, on: bool = True) -> Scheduled:
    """Switch a recurring run, by name or id, on or off. Raises NotFoundError, BackendError."""
    raise NotImplementedError


def unschedule(connection: Connection, name: str) -> Scheduled:
    """Remove a recurring run, by name or id; its runs stay. Raises NotFoundError, BackendError."""
    raise NotImplementedError
