"""Which runs are kept: by their number, their age, and how long their pipeline wants what they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator import ir
from orchestrator.errors import OrchestratorError
from orchestrator.runners.events import Status
from orchestrator.stores.clearing import Row


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go; a run must be allowed to go by each rule there is, and without one none goes."""

    keep_runs: int | None = None
    """The latest runs of each pipeline that stay."""
    older_than: float | None = None
    """Seconds since a run ended before it may go."""


def expired(rows: Sequence[Row], rules: Rules, *, now: float, alive: Callable[[Row], bool]) -> set[str]:
    """The runs that go; `rows` are the latest first. One that is going on stays, and so does what it builds on."""
    if rules.keep_runs is None and rules.older_than is None:
        return set()
    going = {name for row in rows if alive(row) for name in (row.id, row.earlier)}
    seen: dict[str, int] = {}
    found = set()
    for row in rows:
        seen[row.pipeline] = place = seen.get(row.pipeline, 0) + 1
        young = rules.older_than is not None and now - ended(row) <= rules.older_than
        if not young and (rules.keep_runs is None or place > rules.keep_runs) and row.id not in going:
            found.add(row.id)
    return found


def outlived(row: Row, now: float) -> bool:
    """Whether the time is over for which the pipeline wants the folder of an ended run: `resourceTtlOn...` of KFP."""
    if not row.ir or row.finished is None:
        return False
    try:
        _, platform = ir.load(row.ir, row.id)
    except OrchestratorError:
        return False
    kubernetes = platform.platforms.kubernetes
    config = kubernetes.pipeline_config if kubernetes else None
    if config is None:
        return False
    good = row.status in (Status.SUCCEEDED, Status.REJECTED)
    of_end = config.resource_ttl_on_success if good else config.resource_ttl_on_failure
    ttl = of_end or config.resource_ttl_on_completion
    return bool(ttl) and now - row.finished > ttl


def ended(row: Row) -> float:
    """When a run ended; one that was killed counts from its start."""
    return row.finished or row.started
