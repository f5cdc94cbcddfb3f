"""Killed, interrupted, cancelled, left: what finished is kept, nothing is left running, nothing is half-written."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import runs
from orchestrator.errors import BackendError, RunError
from orchestrator.runners.events import TaskStarted
from orchestrator.runners.local import traces

HARNESS = Path(__file__).with_name("harness.py")
ROOT = HARNESS.parents[2]


BOTH = pytest.mark.parametrize("verb", ["start", "cold"], ids=["warm", "cold"])


def spawn(project, verb: str, run: str = "r", **more) -> subprocess.Popen[str]:
    command = [sys.executable, str(HARNESS), str(project.folder), str(project.settings.state), verb, run]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )


def wait_for(project, text: str, count: int = 1) -> None:
    until = time.monotonic() + 20
    while project.trace.count(text) < count:
        assert time.monotonic() < until, project.trace
        time.sleep(0.01)


@pytest.fixture
def winding(project):
    """A loop, a branch, files, an end; every program notes that it began and that it ended."""
    project.component(
        "make",
        "trace('begin ' + a['text']); time.sleep(0.03); put('out', a['text'] * 1000); put('n', str(len(a['text'])));"
        " trace('end ' + a['text'])",
        {"text": "string"},
        {"out": "Dataset", "n": "integer"},
    )
    project.component(
        "total", "import json; put('out', str(sum(json.loads(a['all']))))", {"all": "list"}, {"out": "integer"}
    )
    project.pipeline("""
tasks:
  first: {component: make, arguments: {text: first}}
  each: {component: make, foreach: [a, bb, ccc, dddd], parallelism: 2, after: [first], arguments: {text: "${item}"}}
  total: {component: total, arguments: {all: "${tasks.each.outputs.n}"}}
  big: {component: make, when: "${tasks.total.outputs.out} > 5", arguments: {text: big}}
  small: {component: make, when: "${tasks.total.outputs.out} < 5", arguments: {text: small}}
finally:
  last: {component: make, arguments: {text: last}}
outputs: {total: "${tasks.total.outputs.out}"}
""")
    return project


@pytest.fixture
def long(project):
    project.component(
        "wait",
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (trace('asked to stop'), sys.exit(1)))\n"
        "trace('up'); time.sleep(60)",
    )
    project.component(
        "deaf", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); trace('up'); time.sleep(60)"
    )
    project.component("tell", "trace('told ' + a['status'])", {"status": "TaskFinalStatus"})
    project.pipeline("tasks: {clean: {component: mark, arguments: {text: cleaned}}}\n", "inner.yaml", "inner")
    project.pipeline("""
tasks:
  wait: {component: wait}
  next: {component: mark, after: [wait], arguments: {text: never}}
  each: {component: wait, foreach: [1, 2, 3], parallelism: 1}
finally:
  tell: {component: tell, arguments: {status: "${run.status}"}}
  part: {component: inner.yaml}
  loop: {component: mark, foreach: [x, y], after: [tell], arguments: {text: "${item}"}}
""")
    return project


@pytest.mark.parametrize(("number", "verb"), [(signal.SIGINT, "start"), (signal.SIGTERM, "cold")])
def test_interrupted_once_tasks_are_asked_to_stop_and_the_end_still_comes(long, number, verb):
    runner = spawn(long, verb)
    wait_for(long, "up", 2)
    runner.send_signal(number)
    said, _ = runner.communicate(timeout=30)
    assert "ended CANCELLED" in said
    assert long.trace.count("asked to stop") == 2
    assert long.trace.count("up") == 2
    assert {"cleaned", "x", "y"} < set(long.trace)
    assert "never" not in long.trace
    assert any('"state": "CANCELLED"' in line for line in long.trace if line.startswith("told"))
    tasks = {task.name: task.status for task in long.metadata().tasks("r")}
    assert tasks["wait"] == tasks["each[0]"] == tasks["next"] == "CANCELLED"
    assert tasks["tell"] == "SUCCEEDED"


@BOTH
def test_interrupted_twice_everything_ends_at_once(long, verb):
    long.pipeline("""
tasks: {deaf: {component: deaf}}
finally: {tell: {component: tell, arguments: {status: "${run.status}"}}}
""")
    runner = spawn(long, verb)
    wait_for(long, "up")
    begin = time.monotonic()
    runner.send_signal(signal.SIGINT)
    time.sleep(0.3)
    runner.send_signal(signal.SIGINT)
    said, _ = runner.communicate(timeout=30)
    assert time.monotonic() - begin < 9
    assert "ended CANCELLED" in said
    assert long.trace == ["up"]


@BOTH
def test_cancelled_from_another_process_and_resumed(long, verb):
    runner = spawn(long, verb)
    wait_for(long, "up", 2)
    with pytest.raises(RunError, match="still going on"):
        runs.resume("r", long.settings)
    assert "asked r to stop" in runs.cancel("r", long.settings)
    assert "ended CANCELLED" in runner.communicate(timeout=30)[0]
    assert "already ended" in runs.cancel("r", long.settings)
    long.component("wait", "trace('quick')")  # What was compiled is what is resumed: this changes nothing.
    again = spawn(long, "resume")
    wait_for(long, "up", 4)
    again.send_signal(signal.SIGINT)
    assert "ended CANCELLED" in again.communicate(timeout=30)[0]


@BOTH
def test_a_run_whose_runner_died_is_swept_up_when_it_is_cancelled(long, verb):
    runner = spawn(long, verb)
    wait_for(long, "up", 2)
    runner.kill()
    runner.communicate()
    assert "was no longer running" in runs.cancel("r", long.settings)
    assert long.left_behind() == []
    record = long.metadata().run("r")
    assert record.status == "CANCELLED"
    assert {task.status for task in long.metadata().tasks("r")} == {"CANCELLED"}


def test_a_run_of_the_same_name_elsewhere_is_left_alone(long, tmp_path):
    runner = spawn(long, "start")
    wait_for(long, "up", 2)
    assert traces.sweep("r", tmp_path / "other") == 0
    assert runner.poll() is None
    assert traces.sweep("r", long.settings.state) == 2
    wait_for(long, "up", 3)  # The next iteration: the runner saw its tasks die, and went on.
    runner.send_signal(signal.SIGINT)
    assert "ended FAILED wait: the warm process it was forked from was killed" in runner.communicate(timeout=30)[0]


def test_left_early_nothing_goes_on(long):
    handler = signal.getsignal(signal.SIGINT)  # A shell's background job ignores it.
    events = runs.start(long.folder / "pipeline.yaml", {}, long.settings, runs.Options(run="r"))
    for event in events:
        if isinstance(event, TaskStarted):
            break
    events.close()
    assert long.left_behind() == []
    assert long.metadata().run("r").status == "FAILED"
    assert long.metadata().run("r").reason == "the run was left"
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_of_whoever_listens_ends_the_tasks(long):
    """The state database fails while tasks run: they must not go on behind the error."""
    events = runs.start(long.folder / "pipeline.yaml", {}, long.settings, runs.Options(run="r"))
    caught = None
    try:
        for event in events:
            if isinstance(event, TaskStarted):
                with contextlib.closing(sqlite3.connect(long.settings.state / "state.db")) as spoil:
                    spoil.execute("ALTER TABLE tasks RENAME TO gone")
    except BackendError as error:
        caught = error
    assert caught is not None
    assert long.left_behind() == []


def test_two_resumes_at_once_are_one(long):
    runner = spawn(long, "start")
    wait_for(long, "up", 2)
    runner.kill()
    runner.communicate()
    both = [spawn(long, "resume"), spawn(long, "resume")]
    wait_for(long, "up", 4)
    ended: list[subprocess.Popen[str]] = []
    until = time.monotonic() + 20
    while not ended and time.monotonic() < until:
        ended = [each for each in both if each.poll() is not None]
    assert len(ended) == 1
    assert "RunError" in ended[0].communicate()[0]
    other = next(each for each in both if each not in ended)
    other.send_signal(signal.SIGINT)
    assert "ended CANCELLED" in other.communicate(timeout=30)[0]
    assert long.trace.count("up") == 4


def test_two_runs_at_once_in_one_project(winding):
    both = [spawn(winding, "start", "r1"), spawn(winding, "start", "r2")]
    for each in both:
        assert "ended SUCCEEDED" in each.communicate(timeout=60)[0]
    metadata = winding.metadata()
    assert {run.id for run in metadata.runs()} == {"r1", "r2"}
    assert len(metadata.tasks("r1")) == len(metadata.tasks("r2")) == 9
