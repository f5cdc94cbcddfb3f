"""Runs as lists of events, for the views."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.cli import state
from orchestrator.runners.events import (
    Event,
    RunFinished,
    RunStarted,
    Status,
    TaskFinished,
    TaskId,
    TaskProgress,
    TaskRetried,
    TaskStarted,
)
from orchestrator.stores import artifacts
from orchestrator.stores.artifacts import Artifact, Values


def task(name: str) -> TaskId:
    return TaskId(f"root/{name}", name)


def started(*names: str, run: str = "churn-1") -> RunStarted:
    return RunStarted(run, "churn", {"min_f1": 0.85}, tuple(task(name) for name in names), 100.0)


def folded(events: Iterable[Event]) -> state.RunState:
    found = state.RunState()
    for event in events:
        found = state.after(found, event)
    return found


def decision(word: str, reason: str) -> Values:
    artifact = Artifact("decision", artifacts.DECISION, "file:///d", metadata={"decision": word, "reason": reason})
    return Values({"published": word == "published"}, {"decision": (artifact,)})


def report(uri: str) -> Values:
    return Values({"f1": 0.8312}, {"report": (Artifact("report", state.REPORT, uri, size=18_000),)})


def rejected() -> list[Event]:
    """A run with a cached task, a retry, progress, and a gate that says no."""
    return [
        started("ingest", "train", "evaluate", "publish", "deploy"),
        TaskFinished(task("ingest"), Status.SKIPPED, 100.1, started=100.0, cached_from="churn-0/root/ingest"),
        TaskStarted(task("train"), 101.0, log="/nowhere/log.txt"),
        TaskProgress(task("train"), 3, 10, "epoch", 101.5),
        TaskRetried(task("train"), 1, "exit code 137", 10.0, 102.0),
        TaskStarted(task("train"), 112.0, log="/nowhere/log.txt", attempt=2),
        TaskProgress(task("train"), 5, 10, "epoch", 150.0),
        TaskFinished(task("train"), Status.SUCCEEDED, 224.0, started=101.0, warnings=("few rows",)),
        TaskStarted(task("evaluate"), 224.0),
        TaskFinished(task("evaluate"), Status.SUCCEEDED, 224.4, started=224.0, outputs=report("file:///r/report.html")),
        TaskStarted(task("publish"), 224.4),
        TaskFinished(
            task("publish"),
            Status.SUCCEEDED,
            224.9,
            started=224.4,
            outputs=decision("rejected", "f1 = 0.8312 is not > 0.85"),
        ),
        TaskFinished(task("deploy"), Status.NOT_TRIGGERED, 225.0, reason="its condition is false"),
        RunFinished("churn-1", Status.REJECTED, 225.0, outputs=Values({"f1": 0.8312})),
    ]


def failed(log: str) -> list[Event]:
    """A run in which a task failed and another was never started."""
    reason = "there is no column 'speces'"
    return [
        started("train", "evaluate"),
        TaskStarted(task("train"), 101.0, log=log),
        TaskFinished(task("train"), Status.FAILED, 102.0, started=101.0, reason=reason, log=log),
        TaskFinished(task("evaluate"), Status.UNSCHEDULABLE, 102.0, reason="'train' failed"),
        RunFinished("churn-1", Status.FAILED, 102.0, reason="1 task failed"),
    ]
