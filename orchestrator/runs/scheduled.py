"""Runs by the clock on Kubeflow Pipelines: a pipeline file made ready like any run, and started again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.runners import kfp
from orchestrator.runs import connected, prepared, ready
from orchestrator.settings import Settings

_EARLY, _LATE = 60, 300
"""Seconds around a single moment in which the server is to start its run."""


@dataclass(frozen=True, slots=True)
class Wish:
    """When a pipeline is to run, and how: one of `cron`, `every` and `at`."""

    name: str = ""
    """By default that of the pipeline."""
    cron: str = ""
    every: int = 0
    """Seconds."""
    at: float = 0
    """A single moment, in seconds since the epoch."""
    start: float = 0
    end: float = 0
    catchup: bool = False
    concurrency: int = 1
    enabled: bool = True
    cache: bool = True
    experiment: str = ""
    unpinned: bool = False
    anyway: bool = False


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A recurring run, and what is to be said of it."""

    recurring: kfp.Scheduled
    warnings: tuple[str, ...]


def create(
    file: Path,
    texts: Mapping[str, str],
    settings: Settings,
    wish: Wish,
    *,
    now: float,
    said: prepared.Said = prepared.unsaid,
) -> Scheduled:
    """Have a pipeline file run by the clock. Every parameter needs a value, given now or its default."""
    cron, start, end = _single(wish, now) if wish.at else (wish.cron, wish.start, wish.end)
    made = ready.make(file, texts, settings, unpinned=wish.unpinned, anyway=wish.anyway, said=said)
    plan = kfp.Plan(
        wish.name or made.name,
        made.prepared.pipeline,
        made.loaded.platform,
        made.prepared.arguments,
        cron=cron,
        interval=wish.every,
        start=start,
        end=end,
        catchup=wish.catchup,
        concurrency=wish.concurrency,
        enabled=wish.enabled,
        experiment=wish.experiment,
        service_account=settings.kfp_service_account,
        use_cache=wish.cache,
    )
    return Scheduled(kfp.schedule(made.connection, plan), made.warnings)


def listed(settings: Settings) -> tuple[kfp.Scheduled, ...]:
    """The recurring runs there are."""
    return kfp.schedules(connected.connection(settings))


def switch(name: str, settings: Settings, *, on: bool) -> kfp.Scheduled:
    """Pause one, or have it go on."""
    return kfp.enable(connected.connection(settings), name, on=on)


def delete(name: str, settings: Settings) -> kfp.Scheduled:
    """Remove one; its runs stay."""
    return kfp.unschedule(connected.connection(settings), name)


def _single(wish: Wish, now: float) -> tuple[str, float, float]:
    """A single moment as the server knows it: a cron expression of one date, and an end before it comes again."""
    if wish.at <= now:
        raise PipelineError([Problem(Location("--at"), "that moment has passed")])
    at = datetime.fromtimestamp(wish.at, UTC)
    cron = f"{at.second} {at.minute} {at.hour} {at.day} {at.month} *"
    return cron, max(now - 1, wish.at - _EARLY), wish.at + _LATE
