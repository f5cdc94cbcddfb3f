"""Recurring runs: a pipeline that the server starts by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import BackendError, Location, NotFoundError, PipelineError, Problem
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import arguments
from orchestrator.runners.kfp import making, requests, submit
from orchestrator.runners.kfp.client import Client
from orchestrator.runners.kfp.connection import SYSTEM, Connection
from orchestrator.runners.kfp.seen import seconds
from orchestrator.runners.kfp.submit import Order

_FIELDS = (5, 6)
_MOST = 10
"""Runs of one schedule that KFP's server lets go on at once."""


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


def schedule(connection: Connection, plan: Plan, *, sleep: Callable[[float], None] = time.sleep) -> Scheduled:
    """Have a pipeline run by the clock. One of that name that is the same stays; one that differs is replaced.

    Raises PipelineError when a parameter has neither a value nor a default or the plan makes no sense, BackendError.
    """
    _check(plan)
    given = arguments.complete(plan.pipeline, plan.arguments)
    client = Client(connection, sleep=sleep)
    order = Order(
        plan.pipeline,
        plan.platform,
        given,
        plan.experiment,
        plan.service_account,
        plan.pipeline_root,
        plan.use_cache,
    )
    wanted = body(plan, submit.source(client, order, sleep=sleep))

    def same() -> list[making.Found]:
        return [each for each in _named(client, plan.name) if _told(each) == _told(wanted)]

    made = making.made(client, same, requests.create_recurring_run(wanted), sleep=sleep).thing
    # The new one is there before an old one goes, so that whatever happens one of them is.
    for other in _named(client, plan.name):
        if other["recurring_run_id"] != made["recurring_run_id"]:
            client(requests.recurring_run(str(other["recurring_run_id"]), "delete"))
    if _is_enabled(made) != plan.enabled:
        return enable(connection, str(made["recurring_run_id"]), on=plan.enabled)
    return _scheduled(made)


def schedules(connection: Connection) -> tuple[Scheduled, ...]:
    """The recurring runs of the namespace, by name."""
    return tuple(sorted(map(_scheduled, _all(Client(connection))), key=lambda each: (each.name, each.created)))


def enable(connection: Connection, name: str, *, on: bool = True) -> Scheduled:
    """Switch a recurring run, by name or id, on or off. Raises NotFoundError, BackendError."""
    client = Client(connection)
    found = _one(client, name)
    client(requests.recurring_run(str(found["recurring_run_id"]), "enable" if on else "disable"))
    return _scheduled({**found, "status": "ENABLED" if on else "DISABLED", "mode": "ENABLE" if on else "DISABLE"})


def unschedule(connection: Connection, name: str) -> Scheduled:
    """Remove a recurring run, by name or id; its runs stay. Raises NotFoundError, BackendError."""
    client = Client(connection)
    found = _one(client, name)
    client(requests.recurring_run(str(found["recurring_run_id"]), "delete"))
    return _scheduled(found)


def body(plan: Plan, source: requests.Source) -> dict[str, Any]:
    """A recurring run as the API says it."""
    limits = {
        **({"start_time": _stamp(plan.start)} if plan.start else {}),
        **({"end_time": _stamp(plan.end)} if plan.end else {}),
    }
    trigger: dict[str, Any] = (
        {"cron_schedule": {"cron": _with_seconds(plan.cron), **limits}}
        if plan.cron
        else {"periodic_schedule": {"interval_second": str(plan.interval), **limits}}
    )
    return {
        "display_name": plan.name,
        "description": f"orc schedule {plan.name}",
        **source.body(),
        "trigger": trigger,
        "max_concurrency": str(plan.concurrency),
        "no_catchup": not plan.catchup,
        "mode": "ENABLE" if plan.enabled else "DISABLE",
    }


def _check(plan: Plan) -> None:
    problems: list[Problem] = []
    if bool(plan.cron) == bool(plan.interval):
        problems.append(Problem(Location("schedule"), "expected either a cron expression or an interval"))
    if plan.cron and not plan.cron.startswith("@") and len(plan.cron.split()) not in _FIELDS:
        hint = "minute hour day month weekday, e.g. '0 3 * * *' for every night at three (UTC)"
        problems.append(Problem(Location("--cron"), f"expected five fields, not {plan.cron!r}", hint))
    if plan.interval < 0:
        problems.append(Problem(Location("--interval"), f"expected a positive number of seconds, not {plan.interval}"))
    if not 1 <= plan.concurrency <= _MOST:
        problems.append(Problem(Location("--concurrency"), f"expected 1 to {_MOST}, not {plan.concurrency}"))
    if plan.start and plan.end and plan.end <= plan.start:
        problems.append(Problem(Location("--end"), "it ends before it starts"))
    if problems:
        raise PipelineError(problems)


def _with_seconds(cron: str) -> str:
    """KFP's expressions begin with the seconds."""
    return f"0 {' '.join(cron.split())}" if len(cron.split()) == _FIELDS[0] else cron.strip()


def _told(each: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two recurring runs the same; whether they are switched on does not."""
    trigger = each.get("trigger") or {}
    runtime = each.get("runtime_config") or {}
    return {
        "source": (each.get("pipeline_version_reference") or {}).get("pipeline_version_id"),
        "trigger": {
            kind: {name: str(value) for name, value in (trigger.get(kind) or {}).items() if value}
            for kind in ("cron_schedule", "periodic_schedule")
        },
        "arguments": runtime.get("parameters") or {},
        "root": runtime.get("pipeline_root") or "",
        "account": each.get("service_account") or "",
        "concurrency": str(each.get("max_concurrency", "")),
        "catchup": not each.get("no_catchup", False),
        "experiment": each.get("experiment_id") or "",
    }


def _all(client: Client) -> list[making.Found]:
    call = requests.recurring_runs(client.connection.namespace)
    # The field is spelled so, alone among its like.
    return [*client.pages(call, "recurringRuns")]


def _named(client: Client, name: str) -> list[making.Found]:
    return [each for each in _all(client) if each.get("display_name") == name]


def _one(client: Client, name: str) -> making.Found:
    listed = _all(client)
    found = [each for each in listed if name == each.get("recurring_run_id")]
    found = found or [each for each in listed if name == each.get("display_name")]
    if not found:
        raise NotFoundError("recurring run", name, known=[str(each.get("display_name")) for each in listed])
    if len(found) > 1:
        ids = ", ".join(str(each["recurring_run_id"]) for each in found)
        raise BackendError(SYSTEM, f"several recurring runs are called {name!r}", hint=f"name one by its id: {ids}")
    return found[0]


def _scheduled(each: making.Found) -> Scheduled:
    trigger = each.get("trigger") or {}
    cron = (trigger.get("cron_schedule") or {}).get("cron", "")
    every = (trigger.get("periodic_schedule") or {}).get("interval_second", "")
    reference = each.get("pipeline_version_reference") or {}
    return Scheduled(
        str(each.get("recurring_run_id", "")),
        str(each.get("display_name", "")),
        str(reference.get("pipeline_id", "")),
        str(reference.get("pipeline_version_id", "")),
        str(cron) or f"every {every} s",
        _is_enabled(each),
        int(each.get("max_concurrency") or 1),
        not each.get("no_catchup", False),
        (each.get("runtime_config") or {}).get("parameters") or {},
        seconds(each.get("created_at")),
        str((each.get("error") or {}).get("message", "")),
    )


def _is_enabled(each: making.Found) -> bool:
    status = str(each.get("status") or "")
    return status == "ENABLED" if status in ("ENABLED", "DISABLED") else each.get("mode") != "DISABLE"


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
