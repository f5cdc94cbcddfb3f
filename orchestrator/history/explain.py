"""Why a task ran, or why it did not have to: its cache key beside that of the nearest earlier run of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.history import parts
from orchestrator.history.parts import Change
from orchestrator.runners.events import Status
from orchestrator.stores.records import TaskRecord

HIT, MISSED, UNCACHED, NOT_RUN, UNKNOWN = "hit", "missed", "not cached", "did not run", "not known"
_DEPTH = 4  # How many tasks back a cause is followed.

_NOT_RUN = {
    Status.NOT_TRIGGERED: "its condition was false, or a task it needs was not triggered",
    Status.UNSCHEDULABLE: "a task it needs failed",
    Status.PENDING: "it has not started yet",
    Status.CANCELLED: "the run ended first",
}

Alike = Callable[[TaskRecord], Sequence[TaskRecord]]
"""The earlier tasks that are worth comparing one with, the latest first."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the cache did for a task, and why."""

    task: TaskRecord
    verdict: str
    reasons: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    compared: TaskRecord | None = None
    """The earlier task whose key is the nearest."""


def explain(task: TaskRecord, tasks: Sequence[TaskRecord], alike: Alike) -> Explanation:
    """Why the task hit or missed; `tasks` are all of its run, so that a changed input is followed to its cause."""
    return _explain(task, tasks, alike, _DEPTH)


def nearest(task: TaskRecord, earlier: Sequence[TaskRecord]) -> TaskRecord | None:
    """Of the earlier tasks the one with the fewest differences; the same task before others, the latest of equals."""
    known = [each for each in earlier if each.key_parts]

    def distance(each: TaskRecord) -> tuple[bool, int, float]:
        differ = len(parts.changes(each.key_parts, task.key_parts))
        return each.path != task.path, differ, -(each.finished or 0.0)

    return min(known, key=distance, default=None)


def _explain(task: TaskRecord, tasks: Sequence[TaskRecord], alike: Alike, depth: int) -> Explanation:
    if task.status == Status.SKIPPED:
        run, _, path = task.cached_from.partition("/")
        other = f" (its task {path})" if path != task.path else ""
        source = next((each for each in alike(task) if (each.run, each.path) == (run, path)), None)
        return Explanation(task, HIT, (f"everything is as it was in run {run}{other}",), (), source)
    if task.status == Status.RUNNING:
        return Explanation(task, UNKNOWN, ("it is running; what its key is made of is recorded when it ends",))
    if not task.cache_key:
        if task.status not in (Status.SUCCEEDED, Status.FAILED):
            return Explanation(task, NOT_RUN, (task.reason or _NOT_RUN.get(Status(task.status), task.status.lower()),))
        if task.status == Status.FAILED and not task.attempt:
            return Explanation(task, NOT_RUN, (f"it failed before it started: {task.reason}",))
        return Explanation(task, UNCACHED, (task.missed or "the pipeline says that it is not cached",))
    if task.missed:
        return Explanation(task, MISSED, (task.missed,))
    if not task.key_parts:
        return Explanation(task, UNKNOWN, ("the run was recorded by an earlier version of orc",))
    return _compared(task, tasks, alike, depth)


def _compared(task: TaskRecord, tasks: Sequence[TaskRecord], alike: Alike, depth: int) -> Explanation:
    earlier = alike(task)
    before = nearest(task, earlier)
    if before is None:
        older = "only an earlier version of orc ran it before" if earlier else "no earlier run of it ended well"
        return Explanation(task, MISSED, (older,))
    found = parts.changes(before.key_parts, task.key_parts)
    if not found:
        reason = f"run {before.run} had the same key, but its entry was removed by then, or not yet there"
        return Explanation(task, MISSED, (reason,), (), before)
    causes = {
        change.name: _cause(change, task, tasks, alike, depth - 1)
        for change in found
        if change.kind == "artifact" and change.now is not None
    }
    return Explanation(task, MISSED, tuple(parts.sentences(found, causes)), found, before)


def _cause(change: Change, task: TaskRecord, tasks: Sequence[TaskRecord], alike: Alike, depth: int) -> str:
    """Who made the artifact that is another one now, and why that ran."""
    new = set((change.now or "").split()) - set((change.was or "").split())
    maker = next((each for each in tasks if each.path != task.path and new & set(digests(each))), None)
    if maker is None:
        return "given to the run from outside"
    made = f"made by task {maker.name} of run {maker.run}"
    if maker.status == Status.SKIPPED:
        return f"taken by task {maker.name} from run {maker.cached_from.partition('/')[0]}"
    if not depth:
        return made
    why = _explain(maker, tasks, alike, depth)
    return f"{made}, which ran because {why.reasons[0]}" if why.verdict in (MISSED, UNCACHED) else made


def digests(task: TaskRecord) -> list[str]:
    """The digests of what a task made."""
    return [artifact.digest for listed in task.outputs.artifacts.values() for artifact in listed]
