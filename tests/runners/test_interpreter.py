"""A law of running: loops in conditions in loops, however nested, come to what a few lines of recursion say."""

from __future__ import annotations

import json
import operator
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import local
from orchestrator.runners.events import RunFinished, TaskFinished
from orchestrator.settings import Settings

COMPARED = {"<": operator.lt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
ENDED = ("SUCCEEDED", "FAILED")


@dataclass(frozen=True)
class Made:
    """A task: a program that gives its number back and fails when that is `fatal`, or a group of tasks."""

    inside: tuple[Made, ...] = ()
    fatal: int = -1
    items: tuple[int, ...] | None = None
    """It runs once per item, which is then its number."""
    condition: tuple[str, int] | None = None
    """On its number."""
    follows: bool = False
    """It comes after the one before it."""
    always: bool = False
    """Whatever that came to."""


NUMBER = st.integers(0, 3)
CONDITION = st.none() | st.tuples(st.sampled_from(sorted(COMPARED)), NUMBER)
ITEMS = st.none() | st.lists(NUMBER, max_size=3).map(tuple)


def made(inside: st.SearchStrategy[tuple[Made, ...]], fatal: st.SearchStrategy[int]) -> st.SearchStrategy[Made]:
    return st.builds(Made, inside, fatal, ITEMS, CONDITION, st.booleans(), st.booleans())


LEAVES = made(st.just(()), st.sampled_from([-1, -1, -1, 1, 2]))
TREES = st.recursive(
    LEAVES, lambda below: made(st.lists(below, min_size=1, max_size=3).map(tuple), st.just(-1)), max_leaves=5
)


@dataclass
class Came:
    """What the tasks of a group came to: the status of all, outputs, and the programs that ran."""

    status: str
    out: Any
    ran: dict[str, str]


NOTHING = object()


def interpret(task: Made, number: int, path: str) -> Came:
    """The reference: what a task comes to that begins."""
    if task.items is not None:
        each = [once(task, item, f"{path}/{index}") for index, item in enumerate(task.items)]
        failed = any(came.status == "FAILED" for came in each)
        ran = {name: status for came in each for name, status in came.ran.items()}
        return Came("FAILED" if failed else "SUCCEEDED", [came.out for came in each if came.out is not NOTHING], ran)
    return once(task, number, path)


def once(task: Made, number: int, path: str) -> Came:
    if task.inside:
        return group(task.inside, number, path)
    status = "FAILED" if number == task.fatal else "SUCCEEDED"
    return Came(status, number if status == "SUCCEEDED" else NOTHING, {path: status})


def group(tasks: tuple[Made, ...], number: int, path: str) -> Came:
    """The output of a group is that of its first task."""
    statuses: list[str] = []
    out: Any = NOTHING
    ran: dict[str, str] = {}
    for index, task in enumerate(tasks):
        before = statuses[-1] if task.follows and not task.always and statuses else "SUCCEEDED"
        if before != "SUCCEEDED":
            statuses.append("NOT_TRIGGERED" if before == "NOT_TRIGGERED" else "UNSCHEDULABLE")
        elif task.condition and not COMPARED[task.condition[0]](number, task.condition[1]):
            statuses.append("NOT_TRIGGERED")
        else:
            came = interpret(task, number, f"{path}/t{index}".removeprefix("/"))
            statuses.append(came.status)
            ran |= came.ran
            out = came.out if index == 0 else out
    bad = {"FAILED", "UNSCHEDULABLE"} & set(statuses)
    return Came("FAILED" if bad else "SUCCEEDED", out, ran)


def specification(tasks: tuple[Made, ...]) -> PipelineSpec:
    """The same as IR."""
    components: dict[str, Any] = {}
    executors: dict[str, Any] = {}
    told = {"inputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}}}

    def dag(inside: tuple[Made, ...], prefix: str) -> dict[str, Any]:
        selected = {"producerSubtask": "t0", "outputParameterKey": "out"}
        return {
            "tasks": dict(used(inside, prefix)),
            "outputs": {"parameters": {"out": {"valueFromParameter": selected}}},
        }

    def used(inside: tuple[Made, ...], prefix: str) -> Iterator[tuple[str, Any]]:
        for index, task in enumerate(inside):
            name = f"{prefix}t{index}"
            kind = "LIST" if task.items is not None and task.inside else "NUMBER_INTEGER"
            given = {**told, "outputDefinitions": {"parameters": {"out": {"parameterType": kind}}}}
            if task.inside:
                components[f"comp-{name}"] = {**given, "dag": dag(task.inside, f"{name}-")}
            else:
                components[f"comp-{name}"] = {**given, "executorLabel": f"exec-{name}"}
                program = f'test "$0" -ne {task.fatal} && printf %s "$0" > "$1"'
                arguments = ["{{$.inputs.parameters['n']}}", "{{$.outputs.parameters['out'].output_file}}"]
                container = {"image": "x", "command": ["sh", "-c", program], "args": arguments}
                executors[f"exec-{name}"] = {"container": container}
            source = {"runtimeValue": {"constant": 1}} if not prefix else {"componentInputParameter": "n"}
            condition = "inputs.parameter_values['n'] {} {}".format(*task.condition) if task.condition else ""
            yield (
                f"t{index}",
                {
                    "componentRef": {"name": f"comp-{name}"},
                    "inputs": {"parameters": {"n": source}},
                    "dependentTasks": [f"t{index - 1}"] if task.follows and index else [],
                    "triggerPolicy": {
                        "condition": condition,
                        "strategy": "ALL_UPSTREAM_TASKS_COMPLETED" if task.always else "ALL_UPSTREAM_TASKS_SUCCEEDED",
                    },
                    **(
                        {"parameterIterator": {"itemInput": "n", "items": {"raw": json.dumps(task.items)}}}
                        if task.items is not None
                        else {}
                    ),
                },
            )

    root = {"dag": dag(tasks, "")}
    return PipelineSpec.model_validate(
        {
            "pipelineInfo": {"name": "law"},
            "root": root,
            "components": components,
            "deploymentSpec": {"executors": executors},
        }
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TREES, min_size=1, max_size=3).map(tuple))
def test_loops_and_conditions_come_to_what_a_reference_says(tasks):
    expected = group(tasks, 1, "")
    with tempfile.TemporaryDirectory() as folder:
        found = Settings(Path(folder) / "state", 4, "sqlite://")
        request = local.Request("r", specification(tasks), PlatformSpec(), {}, found, Path(folder))
        events = list(local.run(request, lambda key: None))
    end = events[-1]
    assert isinstance(end, RunFinished)
    ran = {e.task.path: str(e.status) for e in events if isinstance(e, TaskFinished) and e.status in ENDED}
    assert ran == expected.ran
    assert str(end.status) == expected.status
    assert end.outputs.parameters.get("out", NOTHING) == expected.out
