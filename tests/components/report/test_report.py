"""What the page says of each way a run can end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from components.report import collect, page, record
from orchestrator import program
from orchestrator.stores.artifacts import NOTHING

Safe = Callable[[str], Any]


def test_published_and_deployed(recorder: Any, safe: Safe, read: Safe) -> None:
    recorder.deployed()
    found = recorder.page(title="Penguins")
    assert found.outcome.word == "Published and deployed"
    assert found.outcome.sentence == (
        "penguins version 4 was published because f1 = 0.9 > 0.85. The endpoint penguins serves penguins version 4 at "
        "http://127.0.0.1:8800/v1/models/penguins."
    )
    html = page.html(found)
    safe(html)
    text = read(html).text
    for told in (
        "▼ -0.0188 worse baseline 0.8500",  # F1 fell
        "▼ -0.1000 better",  # log loss fell
        "curl -s http://127.0.0.1:8800/v1/models/penguins:predict",
        "✓ succeeded · 3 attempts",
        "⚠ validate mass: 3 rows are below 0",
        "✕ error mass: Unexpected values 3 rows are below 0",
        "⚠ warning sex: Unexpected values",
        "random forest",
        "trees = 50",
        "241 rows",
        "python 3.11.7, scikit-learn 1.9.1",
        "2 0.6%",
        "0.9 0.85 ≠ changed Publish only above this.",
        "data/p.csv none",
        "pipelines/p.yaml",
        "2026-11-20 12:46:20 UTC",
    ):
        assert told in text
    assert text.index("✕ error") < text.index("⚠ warning")
    assert "212" in html, "the histogram says its counts"


def test_rejected_with_both_numbers(recorder: Any, read: Safe) -> None:
    recorder.gated("rejected")
    recorder.task("deploy", "NOT_TRIGGERED", reason="its condition is false")
    found = recorder.page()
    assert found.outcome.word == "Rejected"
    assert found.outcome.sentence == (
        "penguins was rejected by the gate: f1 = 0.8312 is not > 0.85. "
        "No version was published and no endpoint changed."
    )
    text = read(page.html(found)).text
    assert "f1 > 0.85 0.8312 > 0.85 ✕ broken" in text
    assert "accuracy >= baseline.accuracy 0.91 >= 0.9 ✓ passed" in text
    assert "○ not triggered its condition is false" in text


def test_undecided(recorder: Any, read: Safe) -> None:
    recorder.gated("undecided")
    found = recorder.page()
    assert found.outcome.word == "Undecided"
    assert "could not decide: f1 is not a number." in found.outcome.sentence
    assert "f1 > 0.85 — > 0.85 ○ undecided f1 is NaN" in read(page.html(found)).text


def test_failed_names_the_first_task_and_what_did_not_run(recorder: Any, read: Safe) -> None:
    recorder.task("ingest")
    recorder.task("train", "FAILED", reason="the data has no column 'spcies'", attempts=2)
    recorder.task("other", "FAILED", reason="it exited with 3")
    recorder.task("evaluate", "UNSCHEDULABLE", reason="'train' failed")
    found = recorder.page("FAILED", "other: it exited with 3")
    assert found.outcome.sentence == (
        "The task train failed: the data has no column 'spcies'. So did other. Because of that evaluate did not run."
    )
    text = read(page.html(found)).text
    assert "✕ failed · 2 attempts the data has no column 'spcies'" in text
    assert "⊝ did not run 'train' failed" in text
    assert "1 succeeded, 2 failed, 1 did not run" in text


def test_a_failure_after_publication_says_what_is_published(recorder: Any) -> None:
    recorder.gated("published")
    recorder.task("deploy", "FAILED", reason="the port is taken")
    assert recorder.page("FAILED").outcome.sentence == (
        "The task deploy failed: the port is taken. All the same, penguins version 4 was published."
    )


def test_cancelled(recorder: Any, read: Safe) -> None:
    recorder.task("ingest")
    recorder.task("train", "CANCELLED", reason="the run was cancelled")
    found = recorder.page("CANCELLED")
    assert found.outcome.sentence == "The run was cancelled. 1 task of 2 had finished."
    assert "■ cancelled" in read(page.html(found)).text


def test_cached_tasks_name_the_run_they_come_from(recorder: Any, read: Safe) -> None:
    recorder.gated("published", cached_from="penguins-0/publish")
    recorder.task("deploy", "SKIPPED", cached_from="penguins-0/deploy")
    found = recorder.page()
    assert "was published by the run penguins-0, whose outputs this one took from the cache," in found.outcome.sentence
    assert "↺ from the cache of penguins-0" in read(page.html(found)).text


def test_waits_for_approval(recorder: Any) -> None:
    recorder.gated("published", given={"approval": "pending"})
    assert recorder.page().outcome.sentence.endswith("; it waits for approval.")


def test_one_refused_model_of_several_decides(recorder: Any, documents: dict[str, Any]) -> None:
    refused = documents[record.DECISION]
    accepted = {**refused, "decision": "published", "model": {"name": "penguins", "version": "4"}}
    for number, decision in enumerate([accepted, refused, refused]):
        kept = recorder.artifact("decision", record.DECISION, decision)
        recorder.task(f"publish[{number}]", artifacts={"decision": kept})
    assert recorder.page().outcome.sentence == (
        "penguins was rejected by the gate: f1 = 0.8312 is not > 0.85. So was 1 other model. "
        "All the same, penguins version 4 was published."
    )


def test_without_a_gate(recorder: Any) -> None:
    recorder.task("ingest")
    recorder.task("score", "SKIPPED", cached_from="penguins-0/score")
    assert recorder.page().outcome.sentence == "All that was to do is done: 2 tasks, 1 from the cache."


def test_the_report_leaves_itself_out_and_no_other_task(recorder: Any) -> None:
    recorder.task("ingest")
    for name in ("notify", "report"):
        recorder.metadata.start_task(recorder.run, name, name=name, inputs=NOTHING, log="", attempt=1, at=recorder.at)
    found = recorder.page(own="report")
    assert [bar.name for bar in found.bars] == ["ingest", "notify"]
    assert "▸ still running" in page.html(found)


def test_without_a_record_the_final_status_is_told(safe: Safe, read: Safe) -> None:
    status = {"state": "FAILED", "pipelineJobResourceName": "run-7", "error": {"message": "train: no memory"}}
    html = page.html(collect.page(record.read("", ""), status, title="Penguins"))
    safe(html)
    text = read(html).text
    assert "Failed train: no memory." in text
    assert "ORC_STATE and ORC_RUN are not set). This page therefore tells the final status and nothing else." in text
    assert "run-7" in text


@pytest.mark.parametrize(
    ("said", "word"),
    [("COMPLETE", "Succeeded"), ("CACHED", "Succeeded"), ("CANCELED", "Cancelled"), ("NEW", "Not known")],
)
def test_the_words_of_a_server(recorder: Any, said: str, word: str) -> None:
    recorder.task("train", "SUCCEEDED")
    assert recorder.page(said).outcome.word == word
    assert collect.page("There is no record.", {"state": said}).outcome.word == word


def test_the_component(recorder: Any, invoke: Callable[..., program.Result]) -> None:
    """As a process, with the flags and the environment the runner gives it."""
    recorder.deployed()
    environment = {"ORC_STATE": str(recorder.state), "ORC_RUN": recorder.run, "ORC_TASK": "report"}
    result = invoke("report", environment=environment, status={"state": "SUCCEEDED"}, title="Penguins")
    assert result.code == 0, result.stderr
    assert result.stdout.startswith("Published and deployed: penguins version 4 was published")
    assert "<h1>Penguins</h1>" in result.artifacts["report"].read_text()


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, components.report.__main__; print(*{'pandas', 'numpy', 'sklearn', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
