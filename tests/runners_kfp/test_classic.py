"""The nodes of an Argo workflow are told apart, however many look alike and in whatever order they come."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import yaml

from orchestrator import ir
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.events import Event, Status, TaskFinished, TaskId, TaskStarted
from orchestrator.runners.kfp import argo, classic
from tests.runners_kfp.layout import Layout, details, fnv

KEYS = ("a", "b", "c")


def loops(outer: int) -> PipelineSpec:
    """A loop over a pipeline of three tasks, the second after the first, the third conditional."""
    tasks: dict[str, Any] = {key: {"taskInfo": {"name": key}, "componentRef": {"name": "comp-leaf"}} for key in KEYS}
    tasks["b"]["dependentTasks"] = ["a"]
    tasks["c"]["triggerPolicy"] = {"condition": "inputs.parameter_values['x'] == 1"}
    iterator = {"items": {"raw": str(list(range(outer)))}, "itemInput": "item"}
    loop = {"taskInfo": {"name": "loop"}, "componentRef": {"name": "comp-inner"}, "parameterIterator": iterator}
    after = {"taskInfo": {"name": "after"}, "componentRef": {"name": "comp-leaf"}, "dependentTasks": ["loop"]}
    text = yaml.safe_dump(
        {
            "pipelineInfo": {"name": "many"},
            "root": {"dag": {"tasks": {"loop": loop, "after": after}}},
            "components": {"comp-inner": {"dag": {"tasks": tasks}}, "comp-leaf": {"executorLabel": "exec-leaf"}},
            "deploymentSpec": {"executors": {"exec-leaf": {"container": {"image": "x"}}}},
        }
    )
    return ir.load(text)[0]


def events_of(outer: int, chance: random.Random) -> tuple[list[Event], dict[str, Status]]:
    """A run in which each task came to something by chance; a program takes a second at least."""
    events: list[Event] = []
    truth: dict[str, Status] = {}
    begin = 1_800_000_000.0

    def leaf(path: str, status: Status, reason: str = "") -> None:
        nonlocal begin
        task = TaskId(path, path)
        start = begin + chance.randint(1, 3)
        took = chance.randint(2, 60) if status in (Status.SUCCEEDED, Status.FAILED) else 0
        if took:
            events.append(TaskStarted(task, start))
        events.append(TaskFinished(task, status, start + took, started=start, reason=reason))
        truth[path] = status
        begin += chance.randint(0, 5)

    for number in range(outer):
        first = chance.choice([Status.SUCCEEDED, Status.SKIPPED, Status.FAILED])
        leaf(f"loop/{number}/a", first)
        good = chance.choice([Status.SUCCEEDED, Status.SKIPPED])
        leaf(f"loop/{number}/b", good if first.good else Status.UNSCHEDULABLE, "")
        taken = chance.choice([Status.SUCCEEDED, Status.SKIPPED, Status.NOT_TRIGGERED])
        leaf(f"loop/{number}/c", taken, "its condition is false" if taken is Status.NOT_TRIGGERED else "")
    return events, truth


@pytest.mark.parametrize("seed", range(12))
def test_every_node_is_placed(seed: int) -> None:
    chance = random.Random(seed)
    outer = chance.randint(1, 9)
    pipeline = loops(outer)
    events, truth = events_of(outer, chance)
    told = details(Layout(pipeline, events, "many-x7k2p", 1_800_000_000.0).build(), "many-x7k2p", "r", 0)
    chance.shuffle(told)
    found = classic.tasks(told, pipeline, ir.NO_PLATFORM)
    came = {path: found[path].status for path in truth if path in found}
    # What was left out is not told; the runner says why it did not begin.
    wanted = {path: status for path, status in truth.items() if status is not Status.UNSCHEDULABLE}
    assert came == wanted
    for path, seen in found.items():
        if path in truth and truth[path] in (Status.SUCCEEDED, Status.FAILED):
            own = f"{path.split('/')[1]}:{path.split('/')[1]}).iteration-item.{path[-1]}.executor"
            assert seen.pods == (
                f"many-x7k2p-system-container-impl-{fnv(f'many-x7k2p.root.loop.iteration-iterations({own}')}",
            )


def test_a_thousand_tasks_are_placed_in_a_moment() -> None:
    pipeline = loops(350)
    events, truth = events_of(350, random.Random(1))
    told = details(Layout(pipeline, events, "many-x7k2p", 1_800_000_000.0).build(), "many-x7k2p", "r", 0)
    begun = time.process_time()
    found = classic.tasks(told, pipeline, ir.NO_PLATFORM)
    assert time.process_time() - begun < 5
    assert len(set(truth) & set(found)) > 600


def test_ids_are_fnv() -> None:
    # From the definition of FNV-1a (draft-eastlake-fnv): "a" and "foobar".
    assert argo.identity("w", "a") == f"w-{0xE40C292C}"
    assert argo.identity("w", "foobar") == f"w-{0xBF9CF968}"
