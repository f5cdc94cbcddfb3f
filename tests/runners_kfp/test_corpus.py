"""The corpus of KFP pipelines through a server: the same statuses, outputs and outcome as by the local runner."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ir
from orchestrator.runners import arguments, kfp
from orchestrator.runners.events import RunFinished, TaskFinished, TaskStarted
from tests.runners.test_kfp_corpus import CASES, as_text, compiled, documents, in_sdk
from tests.runners_kfp.conftest import connected
from tests.runners_kfp.server import Server

__all__ = ["compiled", "in_sdk"]

CHOSEN = (
    "L10-conditions-in-loops",
    "L11-collected-over-skipped",
    "L13-implicit-dependencies",
    "L18-a-failure-stops-only-what-depends",
    "conditions-branches",
    "final-status",
    "ignore-upstream-failure-without-default",
    "loops-fields",
    "loops-over-what-is-no-list",
    "nested-pipelines",
    "oneof-from-nested",
    "strategies",
)
"""One of each kind. The others agree too, but for what only concerns the local runner: files of this machine, loops
over artifacts, the name of the run, and whole pipelines inside that are begun again."""


@pytest.mark.parametrize("case", [each for each in CASES if each.name in CHOSEN], ids=lambda case: case.name)
def test_a_server_comes_to_the_same(case: Path, server: Server, compiled: Path, soon: Any) -> None:
    expected = documents(case)[0]
    pipeline, platform = ir.read(compiled / case.name / "pipeline.ir.yaml")
    given = arguments.from_text(pipeline, {k: as_text(v) for k, v in expected.get("arguments", {}).items()})
    request = kfp.Request(connected(server), "run-1", pipeline, platform, given, use_cache=expected.get("cache", False))
    events = list(kfp.run(request, sleep=soon))
    end = events[-1]
    assert isinstance(end, RunFinished)
    finished = [event for event in events if isinstance(event, TaskFinished)]
    statuses = {event.task.name: str(event.status) for event in finished}
    assert len(statuses) == len(finished)
    reasons = {event.task.name: event.reason for event in finished if event.reason}
    assert statuses == expected.get("tasks", statuses), reasons
    assert str(end.status) == expected.get("state", "SUCCEEDED")
    attempts = Counter(event.task.name for event in events if isinstance(event, TaskStarted))
    for name, count in expected.get("attempts", {}).items():
        if "/" not in name:  # How often a pipeline inside was begun is not told.
            assert attempts[name] == count, name
    if server.state.stock.native:
        made = dict(end.outputs.parameters)
        wanted = {name: value for name, value in expected.get("outputs", {}).items() if name in made}
        assert {name: made[name] for name in wanted} == wanted
        assert expected.get("reason", "") in end.reason
        assert all(text in reasons.get(name, "") for name, text in expected.get("reasons", {}).items()), reasons
