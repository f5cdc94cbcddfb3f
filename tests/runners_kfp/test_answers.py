"""Answers of a real server of version 2.17.0, with Argo configured as KFP configures it: what we make of them.

Beside each answer (`run.json`) stand the pipeline and what the workflow itself says of its pods (`pods.json`): name,
place, phase and message. They were recorded from runs of the corpus.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ir
from orchestrator.runners.events import Status, TaskFinished
from orchestrator.runners.kfp import cause, classic, seen
from orchestrator.runners.kfp.progress import Progress
from orchestrator.runners.kfp.seen import SeenRun
from tests.conftest import Golden

ANSWERS = sorted(path.parent for path in (Path(__file__).parent / "answers").glob("*/run.json"))

LAGS = "conditions-branches"
"""A run that has ended whose tasks the server has not brought up to date yet."""


def read(answer: Path) -> tuple[ir.PipelineSpec, SeenRun, dict[str, Any]]:
    """The pipeline, what is seen of the run, and its pods."""
    pipeline, platform = ir.read(answer / "pipeline.ir.yaml")
    told = json.loads((answer / "run.json").read_text(encoding="utf-8"))
    run = replace(seen.of(told), tasks=classic.tasks(told["run_details"]["task_details"], pipeline, platform))
    return pipeline, run, json.loads((answer / "pods.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("answer", [each for each in ANSWERS if each.name != LAGS], ids=lambda answer: answer.name)
def test_every_task_is_told_as_it_was(answer: Path, golden: Golden) -> None:
    pipeline, run, _ = read(answer)
    progress = Progress(pipeline, lambda _task, seen: "its driver failed" if seen.of_driver else "its program failed")
    events = [event for event in progress.events(run, 0) if isinstance(event, TaskFinished)]
    lines = sorted(f"{event.task.name}: {event.status} {event.reason}".rstrip() for event in events)
    golden(answer / "tasks.txt", "\n".join([f"{run.status}", *lines, ""]))


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_pods_are_called_as_they_were(answer: Path) -> None:
    _, run, pods = read(answer)
    named = {pod: path for path, task in run.tasks.items() for pod in task.pods}
    assert set(named) <= set(pods)
    programs = {pod for pod, (_, phase, _) in pods.items() if phase != "Omitted" and "-impl-" in pod}
    assert programs <= set(named)
    for pod, path in named.items():
        task, (place, phase, _) = run.tasks[path], pods[pod]
        assert place.rpartition("(")[0].removesuffix(".executor").endswith(_last(path, of_driver=task.of_driver))
        if task.status.final:
            assert (phase == "Succeeded") is task.status.good, path


def _last(path: str, *, of_driver: bool) -> str:
    if not path:
        return "root-driver"
    key = path.rpartition("/")[2]
    shown = "iteration-item" if key.isdigit() else key
    return f"{shown}-driver" if of_driver else f"{shown}(0)"


def test_tasks_that_lag_behind_their_run_are_seen() -> None:
    _, run, _ = read(next(each for each in ANSWERS if each.name == LAGS))
    assert run.status is Status.SUCCEEDED
    assert run.tasks[""].status is Status.RUNNING


FATAL = (
    "F1121 20:25:57.345172      16 main.go:127] KFP driver: driver.DAG(pipelineName=fields, runID=1ce5, "
    'taskDisplayName="for-loop-2", dagExecutionID=24, componentSpec) failed: failed to resolve inputs: no such thing'
)
AROUND = [
    "I1121 20:20:11.376214      15 client.go:871] Propagating state update to parent DAG 9",
    "F1121 20:20:11.378507      15 main.go:59] failed to execute component: exit status 3",
    'time=2026-11-21T20:20:12.216Z level=INFO msg="sub-process exited" argo=true error="exit status 1"',
    "Error: exit status 1",
]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["working", "ValueError: no such column", *AROUND], "ValueError: no such column"),
        (["ValueError: no such column", "working", *AROUND], "ValueError: no such column"),
        (["error: the file is empty", "error: and so is the other", *AROUND], "the file is empty (and 1 more)"),
        (["I1121 20:25:57.3 1 a.go:1] output", FATAL, *AROUND[2:]], "failed to resolve inputs: no such thing"),
        ([AROUND[1].replace("exit status 3", "no such program: x"), *AROUND[2:]], "no such program: x"),
        (["panic: no memory", "", "goroutine 1 [running]:", "\tmain.go:1 +0x1", *AROUND[2:]], "panic: no memory"),
        (AROUND, "exit status 3"),
        ([], ""),
    ],
)
def test_of_a_log_the_line_that_says_why_is_told(lines: list[str], said: str) -> None:
    assert cause.of_log(lines) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("main: Error (exit code 1)", ""),
        ("No more retries left", ""),
        ("omitted: depends condition not met", ""),
        ("main: OOMKilled (exit code 137)", "OOMKilled (exit code 137)"),
        (
            "wait: Error (exit code 64): failed to put file: The specified bucket does not exist",
            "Error (exit code 64): failed to put file: The specified bucket does not exist",
        ),
        ("init: Error (exit code 2): no configuration", "init: Error (exit code 2): no configuration"),
    ],
)
def test_of_a_message_what_is_more_than_that_it_failed_is_told(message: str, said: str) -> None:
    assert cause.of_message(message) == said


def test_of_a_pod_the_first_line_is_told() -> None:
    assert cause.of_pod("container main ended with code 1\n  | goroutine 1 [running]:") == ""
    assert (
        cause.of_pod("image x cannot be pulled: no such image\n  | more") == "image x cannot be pulled: no such image"
    )
