"""The plain view, the live picture, the end of a run and its JSON: from lists of events."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from orchestrator.cli import details, live, machine, plain, state, summary, watch, wording
from orchestrator.runners.events import (
    Event,
    RunFinished,
    RunStarted,
    Status,
    TaskFinished,
    TaskProgress,
    TaskStarted,
    Warned,
)
from orchestrator.stores.artifacts import Values
from orchestrator.stores.metadata import RunRecord, TaskRecord
from tests.cli import happenings
from tests.cli.happenings import folded, started, task


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def plain_lines(events: Iterable[Event]) -> list[str]:
    lines: list[str] = []
    before = state.RunState()
    said: dict[str, float] = {}
    for event in events:
        path = event.task.path if hasattr(event, "task") else ""
        for line in plain.lines(event, before, said=said.get(path, 0.0)):
            said[path] = event.at
            lines.append(line)
        before = state.after(before, event)
    return lines


def drawn(*parts: RenderableType, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, height=height, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


def test_plain_lines_say_every_change_of_state_with_its_time() -> None:
    assert plain_lines(happenings.rejected()) == [
        "00:01:40 run churn-1 of churn started: min_f1 = 0.85",
        "00:01:40 ingest: cached from run churn-0",
        "00:01:41 train: started",
        "00:01:42 train: attempt 1 failed: exit code 137; tried again in 10 s",
        "00:01:52 train: started (attempt 2)",
        "00:02:30 train: 5/10 epoch",
        "00:03:44 train: succeeded in 2 min 3 s",
        "00:03:44 train: warning: few rows",
        "00:03:44 evaluate: started",
        "00:03:44 evaluate: succeeded in 0.4 s",
        "00:03:44 publish: started",
        "00:03:44 publish: succeeded in 0.5 s; rejected: f1 = 0.8312 is not > 0.85",
        "00:03:45 deploy: not triggered: its condition is false",
        "00:03:45 run churn-1 rejected in 2 min 5 s",
    ]


def test_plain_lines_of_a_failure_and_of_a_warning() -> None:
    lines = plain_lines([*happenings.failed("/nowhere/log"), Warned("the disk is nearly full", 103.0)])
    assert "00:01:42 train: failed in 1.0 s: there is no column 'speces'" in lines
    assert "00:01:42 evaluate: not started: 'train' failed" in lines
    assert lines[-1] == "00:01:43 warning: the disk is nearly full"


def test_the_picture_has_a_row_for_each_task() -> None:
    run = folded(happenings.rejected()[:5])
    assert drawn(live.picture(run, now=112.0)) == [
        "",
        "churn · run churn-1 · 12 s · 1 of 5 tasks done",
        "↺  ingest    cached   0.1 s  from run churn-0",
        "●  train     running   11 s  attempt 1 failed: exit code 137",
        "·  evaluate  waiting",
        "·  publish   waiting",
        "·  deploy    waiting",
        "",
    ]


def test_progress_is_a_bar_with_words() -> None:
    run = folded(happenings.rejected()[:4])
    assert drawn(live.picture(run, now=102.0))[3] == "●  train     running  1.0 s  ━━━━────────── 3/10 epoch"
    assert (
        drawn(live.picture(run, now=102.0, unicode=False))[3]
        == "*  train     running  1.0 s  ####---------- 3/10 epoch"
    )


def test_without_unicode_the_picture_is_ascii() -> None:
    text = "\n".join(drawn(live.picture(folded(happenings.rejected()), now=230.0, unicode=False)))
    assert text.isascii()


@pytest.mark.parametrize("width", [80, 60, 40, 20])
def test_the_picture_fits_the_terminal(width: int) -> None:
    long = folded([started("a-task-whose-name-is-rather-long-and-does-not-fit-anywhere"), *happenings.failed("/x")[1:]])
    for line in drawn(live.picture(long, now=110.0), width=width):
        assert len(line) <= width


def test_of_many_tasks_failed_and_running_ones_are_shown_and_the_rest_is_counted() -> None:
    names = [f"task-{index:02d}" for index in range(60)]
    events: list[Event] = [started(*names)]
    for index, name in enumerate(names[:40]):
        events.append(TaskStarted(task(name), 100.0 + index))
        if index < 37:
            status = Status.FAILED if index == 0 else Status.SUCCEEDED
            events.append(TaskFinished(task(name), status, 101.0 + index, started=100.0 + index))
    lines = drawn(live.picture(folded(events), now=150.0, room=30))
    rows = [line for line in lines if "task-" in line]
    assert len(rows) == 29
    shown = [line.split()[1] for line in rows]
    assert shown == sorted(shown)
    assert {"task-00", "task-36", "task-37", "task-38", "task-39", "task-40"} <= set(shown)
    assert "task-01" not in shown
    assert "…  and 15 waiting, 16 succeeded" in lines


def test_iterations_of_a_loop_are_one_row() -> None:
    events: list[Event] = [started("prepare", "score", "publish")]
    for index in range(40):
        events.append(TaskStarted(task(f"score[{index}]"), 100.0))
        if index < 30:
            events.append(TaskFinished(task(f"score[{index}]"), Status.SUCCEEDED, 101.0, started=100.0))
    lines = drawn(live.picture(folded(events), now=110.0))
    assert lines[3] == "●  score (40)  running  10 s  ━━━━━━━━━━──── 10 running, 30 succeeded"
    assert [line.split()[1] for line in lines[2:5]] == ["prepare", "score", "publish"]
    events.append(TaskFinished(task("score[30]"), Status.FAILED, 102.0, started=100.0, reason="no rows"))
    assert "✗  score (40)  failed" in drawn(live.picture(folded(events), now=110.0))[3]


def test_what_was_done_before_a_resume_is_not_lost() -> None:
    before = state.resumed(folded(happenings.failed("/x")))
    assert [each.status for each in before.tasks.values()] == [Status.PENDING, Status.PENDING]
    done = folded([started("a", "b"), TaskFinished(task("a"), Status.SUCCEEDED, 101.0)])
    again = state.after(state.resumed(done), started("a", "b"))
    assert [each.status for each in again.tasks.values()] == [Status.SUCCEEDED, Status.PENDING]


def test_the_end_of_a_rejected_run_says_both_numbers() -> None:
    assert drawn(*summary.lines(folded(happenings.rejected()))) == [
        "■ churn: rejected in 2 min 5 s  3 succeeded, 1 cached, 1 not triggered",
        "  publish: rejected: f1 = 0.8312 is not > 0.85",
        "",
        "outputs",
        "  f1  0.8312",
        "",
        "reports",
        "  evaluate  /r/report.html",
    ]


def test_the_end_of_a_failed_run_says_why_where_and_what_to_type(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("loading\n::progress 1/2 rows\n\x1b[31mred\x1b[0m\nerror: there is no column 'speces'\n")
    failed = replace(folded(happenings.failed(str(log))), file="my work/churn.py")
    assert drawn(*summary.lines(failed), width=500) == [
        "✗ churn: failed in 2.0 s  1 failed, 1 not started",
        "",
        "train failed: there is no column 'speces'",
        "  | loading",
        "  | \N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}[0m",
        f"  log   {log}",
        "  read  orc logs churn-1 train",
        "",
        "go on: what finished is not run again",
        "  orc resume churn-1                   as it was",
        "  orc run 'my work/churn.py' --resume  after an edit",
    ]


def test_a_pipeline_whose_name_has_two_lines_is_told_on_one() -> None:
    run = RunStarted("x-1", "two\nlines", {}, (), 100.0)
    told = drawn(*summary.lines(folded([run, RunFinished("x-1", Status.SUCCEEDED, 101.0)])))
    assert told == ["✓ two lines: succeeded in 1.0 s"]


def test_of_many_failed_tasks_a_few_are_told_in_full_and_the_others_in_a_line() -> None:
    names = [f"score[{number}]" for number in range(50)]
    failed = [TaskFinished(task(name), Status.FAILED, 102.0, started=101.0, reason=f"{name} is bad") for name in names]
    told = drawn(*summary.findings(folded([started(*names), *failed])))
    assert "score[19] failed: score[19] is bad" in told
    assert told[-1] == "and 30 more failed"
    assert len(told) < 30


def test_of_a_long_loop_the_first_outputs_are_listed_and_how_to_see_all() -> None:
    def record(name: str) -> TaskRecord:
        given = Values({"word": name})
        return TaskRecord("many-1", name, name, "c", "SUCCEEDED", "", 1, 1.0, 2.0, Values(), given, "", "", "", ())

    tasks = [record("join"), *(record(f"item[{number}]") for number in range(300))]
    run = RunRecord("many-1", "many", "SUCCEEDED", "", 1.0, 2.0, {}, Values(), "", "", "", (), {}, 1, "")
    told = drawn(*details.of_run(run, tasks, status="SUCCEEDED"))
    assert "  item[9].word  item[9]" in told
    assert len(told) < 30
    assert "Of what item gave, the first 10 are listed: `orc show many-1 item` has all." in told


def test_a_value_of_a_hundred_thousand_letters_does_not_fill_the_screen() -> None:
    told = wording.short("x" * 100_000)
    assert told.endswith("xxx... (100,000 letters)")
    assert len(told) < 210
    assert wording.short([1, 2]) == "[1, 2]"


def test_a_deployed_model_is_shown_with_what_was_sent_and_what_came_back() -> None:
    answer: Any = SimpleNamespace(
        endpoint="penguins",
        model="penguins",
        version="3",
        url="http://127.0.0.1:8800/v1/models/penguins:predict",
        request={"instances": [{"island": "Torgersen"}]},
        response={"predictions": ["Adelie"]},
        curl="curl -s http://127.0.0.1:8800/v1/models/penguins:predict -d '{}'",
        stop="orc endpoints stop penguins",
    )
    text = "\n".join(drawn(*summary.answer(answer)))
    for part in ('{"predictions": ["Adelie"]}', '{"instances": [{"island": "Torgersen"}]}', answer.curl, answer.stop):
        assert part in text


def test_every_event_is_one_line_of_json() -> None:
    not_a_number = TaskProgress(task("train"), float("nan"), float("inf"), "epoch", 1.0)
    for event in [*happenings.rejected(), not_a_number]:
        data = json.loads(json.dumps(machine.event(event), allow_nan=False))
        assert data["event"] == type(event).__name__
    assert machine.event(not_a_number)["done"] == "NaN"
    assert machine.event(happenings.rejected()[0])["tasks"][0] == {"path": "root/ingest", "name": "ingest"}


@pytest.mark.parametrize(
    ("status", "code"),
    [("SUCCEEDED", 0), ("REJECTED", 0), ("UNDECIDED", 3), ("FAILED", 3), ("CANCELLED", 130)],
)
def test_exit_codes(status: str, code: int) -> None:
    assert watch.CODES[Status(status)] == code


def test_no_duration_is_made_up_for_a_task_that_never_ran() -> None:
    run = folded(
        [
            started("a"),
            TaskFinished(task("a"), Status.CANCELLED, 101.0),
            RunFinished("churn-1", Status.CANCELLED, 101.0),
        ]
    )
    assert drawn(live.picture(run, now=500.0))[2] == "◼  a  cancelled"
    assert isinstance(started("a"), RunStarted)
    assert wording.between(None, 3.0, 4.0) == ""
