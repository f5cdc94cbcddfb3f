"""The page of a run, from real records: what it says of each outcome, and that nothing in a record can break it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.report import collect, contents, page, record
from components.report.facts import Page
from orchestrator import program
from orchestrator.stores.artifacts import NOTHING, Artifact, ArtifactStore, Values
from orchestrator.stores.metadata import Metadata, RunRecord, TaskRecord

SCRIPT = "<script>alert(1)</script>"
START = 1_795_178_780.0
IR = """
root:
  inputDefinitions:
    parameters:
      min_f1: {parameterType: NUMBER_DOUBLE, defaultValue: 0.85, description: Publish only above this.}
      source: {parameterType: STRING}
"""
METRICS = {
    "version": 1,
    "problem": "classification",
    "rows": 103,
    "metrics": {"f1": 0.8312, "accuracy": 0.91, "log_loss": 0.3, "auc": "NaN"},
    "baseline": {"name": "penguins", "version": "3", "metrics": {"f1": 0.85, "accuracy": 0.9, "log_loss": 0.4}},
    "slices": [],
}
REJECTED = {
    "version": 1,
    "decision": "rejected",
    "reason": "f1 = 0.8312 is not > 0.85",
    "rules": [
        {"rule": "f1 > 0.85", "left": 0.8312, "operator": ">", "right": 0.85, "passed": False, "note": ""},
        {"rule": "accuracy >= baseline.accuracy", "left": 0.91, "operator": ">=", "right": 0.9, "passed": True},
    ],
    "model": {"name": "penguins", "version": "", "digest": "ab" * 32},
    "at": "2026-11-20T12:46:31+00:00",
}
PUBLISHED = REJECTED | {
    "decision": "published",
    "reason": "f1 = 0.9 > 0.85",
    "model": {"name": "penguins", "version": "4", "digest": "ab" * 32},
}
ENDPOINT = {
    "version": 1,
    "name": "penguins",
    "url": "http://127.0.0.1:8800/v1/models/penguins",
    "variants": [{"name": "main", "model": "penguins", "version": "4", "digest": "ab" * 32, "weight": 1.0}],
    "example": {"inputs": [{"island": "Biscoe"}]},
    "declared_at": "2026-11-20T12:46:32.647999+00:00",
}
STATISTICS = {
    "version": 1,
    "rows": 344,
    "columns": [
        {
            "name": "mass",
            "type": "number",
            "missing": 2,
            "distinct": 94,
            "min": 2700.0,
            "median": 4050.0,
            "mean": 4201.7,
            "max": 6300.0,
            "std": 801.9,
            "top": [],
            "histogram": {"edges": [2700, 4500, 6300], "counts": [212, 130]},
        },
        {"name": "island", "type": "string", "missing": 0, "distinct": 2, "min": "Biscoe", "max": "Dream",
         "top": [{"value": "Biscoe", "count": 200}, {"value": "Dream", "count": 144}], "histogram": None},
    ],
}  # fmt: skip
ANOMALY = {"column": "sex", "type": "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "short": "Unexpected values"}
ANOMALIES = {
    "version": 1,
    "anomalies": [
        ANOMALY | {"severity": "warning", "message": "1 row holds 'unknown'"},
        ANOMALY | {"column": "mass", "severity": "error", "message": "3 rows are below 0"},
    ],
}
MODEL = {
    "version": 1,
    "flavor": "sklearn",
    "algorithm": "random_forest",
    "problem": "classification",
    "target": "species",
    "classes": ["Adelie", "Gentoo"],
    "signature": {"inputs": [{"name": "mass", "type": "number"}]},
    "training": {"rows": 241, "digest": "cd" * 32, "seed": 7, "hyperparameters": {"trees": 50}, "features": ["mass"]},
    "versions": {"python": "3.11.7", "scikit-learn": "1.9.1"},
}


@dataclass
class Recorder:
    """Writes a run as the runner does: tasks one after the other, a second each."""

    state: Path
    run: str = "penguins-1"
    at: float = START
    metadata: Metadata = field(init=False)
    store: ArtifactStore = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = Metadata(self.state / "state.db")
        self.store = ArtifactStore(self.state / "artifacts")
        started = RunRecord(
            self.run, "penguins", "RUNNING", "", START, None, {"min_f1": 0.9, "source": "data/p.csv"}, NOTHING, IR,
            "pipelines/p.yaml", "/pipelines", (), {"cache": True}, 1, "1",
        )  # fmt: skip
        self.metadata.start_run(started, [])

    def task(
        self,
        name: str,
        status: str = "SUCCEEDED",
        *,
        artifacts: Mapping[str, Artifact] | None = None,
        parameters: Mapping[str, Any] | None = None,
        attempts: int = 1,
        reason: str = "",
        cached_from: str = "",
        warnings: tuple[str, ...] = (),
        given: Mapping[str, Any] | None = None,
    ) -> None:
        log = str(self.state / "runs" / self.run / name / "log.txt")
        began = self.at if status in ("SUCCEEDED", "FAILED") else None
        for attempt in range(1, attempts + 1) if began else ():
            self.metadata.start_task(
                self.run, name, name=name, inputs=NOTHING, log=log, attempt=attempt, pid=1, at=self.at
            )
        self.at += 1 if began else 0
        outputs = Values(parameters or {}, {key: (each,) for key, each in (artifacts or {}).items()})
        self.metadata.finish_task(
            TaskRecord(
                self.run, name, name, name, status, reason, attempts, began, self.at, Values(given or {}), outputs, "",
                cached_from, log, 0, warnings,
            )
        )  # fmt: skip

    def artifact(self, name: str, type: str, content: Any, metadata: Mapping[str, Any] | None = None) -> Artifact:
        path = self.state / "new"
        if type == record.MODEL:
            path.mkdir()
            (path / "model.json").write_text(json.dumps(content))
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return self.store.keep(path, name=name, type=type, metadata=metadata)

    def page(self, state: str = "SUCCEEDED", message: str = "", **more: Any) -> Page:
        status = {"state": state, "error": {"message": message}}
        return collect.page(record.read(str(self.state), self.run), status, **more)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "state")


def gated(recorder: Recorder, decision: Mapping[str, Any], **more: Any) -> None:
    """A run up to and with its gate."""
    data = recorder.artifact("train", record.DATASET, "PAR1", {"rows": 241, "columns": 9})
    recorder.task("ingest", artifacts={"train": data}, attempts=3)
    found = {
        "statistics": recorder.artifact("statistics", record.STATISTICS, STATISTICS),
        "anomalies": recorder.artifact("anomalies", record.ANOMALIES, ANOMALIES),
        "report": recorder.artifact("report", "system.HTML", "<p>checked</p>"),
    }
    recorder.task("validate", artifacts=found, warnings=("mass: 3 rows are below 0",))
    recorder.task("train", artifacts={"model": recorder.artifact("model", record.MODEL, MODEL)})
    recorder.task("evaluate", artifacts={"metrics": recorder.artifact("metrics", record.METRICS, METRICS)})
    kept = recorder.artifact(
        "decision", record.DECISION, decision, {"decision": decision["decision"], "reason": decision["reason"]}
    )
    recorder.task("publish", artifacts={"decision": kept}, **more)


def deployed(recorder: Recorder) -> None:
    gated(recorder, PUBLISHED)
    about = {"name": "penguins", "url": ENDPOINT["url"], "model": "penguins", "version": "4"}
    recorder.task("deploy", artifacts={"deployed": recorder.artifact("deployed", record.ENDPOINT, ENDPOINT, about)})


class Reader(HTMLParser):
    """The page as a browser sees it: its text, its elements, and the places where an address may stand."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "action", "data", "poster", "srcset", "xlink:href", "formaction"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, "every element is closed"
    return reader


def assert_safe(html: str) -> None:
    """Nothing is loaded, nothing runs, and no link leads out of this machine."""
    reader = read(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
    assert not reader.handlers
    assert all(each.startswith(("../../../", "file:///")) for each in reader.addresses)
    assert "url(" not in reader.style
    assert "@import" not in reader.style


def test_published_and_deployed(recorder: Recorder) -> None:
    deployed(recorder)
    found = recorder.page(title="Penguins")
    assert found.outcome.word == "Published and deployed"
    assert found.outcome.sentence == (
        "penguins version 4 was published because f1 = 0.9 > 0.85. The endpoint penguins serves penguins version 4 at "
        "http://127.0.0.1:8800/v1/models/penguins."
    )
    html = page.html(found)
    assert_safe(html)
    text = read(html).text
    for told in (
        "▼ -0.0188 worse · baseline 0.8500",  # F1 fell
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


def test_rejected_with_both_numbers(recorder: Recorder) -> None:
    gated(recorder, REJECTED)
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


def test_undecided(recorder: Recorder) -> None:
    rules = [{"rule": "f1 > 0.85", "left": None, "operator": ">", "right": 0.85, "passed": None, "note": "f1 is NaN"}]
    gated(recorder, REJECTED | {"decision": "undecided", "reason": "f1 is not a number", "rules": rules})
    found = recorder.page()
    assert found.outcome.word == "Undecided"
    assert "could not decide: f1 is not a number." in found.outcome.sentence
    assert "f1 > 0.85 — > 0.85 ○ undecided f1 is NaN" in read(page.html(found)).text


def test_failed_names_the_first_task_and_what_did_not_run(recorder: Recorder) -> None:
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


def test_a_failure_after_publication_says_what_is_published(recorder: Recorder) -> None:
    gated(recorder, PUBLISHED)
    recorder.task("deploy", "FAILED", reason="the port is taken")
    assert recorder.page("FAILED").outcome.sentence == (
        "The task deploy failed: the port is taken. All the same, penguins version 4 was published."
    )


def test_cancelled(recorder: Recorder) -> None:
    recorder.task("ingest")
    recorder.task("train", "CANCELLED", reason="the run was cancelled")
    found = recorder.page("CANCELLED")
    assert found.outcome.sentence == "The run was cancelled. 1 task of 2 had finished."
    assert "■ cancelled" in read(page.html(found)).text


def test_cached_tasks_name_the_run_they_come_from(recorder: Recorder) -> None:
    gated(recorder, PUBLISHED, cached_from="penguins-0/publish")
    recorder.task("deploy", "SKIPPED", cached_from="penguins-0/deploy")
    found = recorder.page()
    assert "was published by the run penguins-0, whose outputs this one took from the cache," in found.outcome.sentence
    assert "↺ from the cache of penguins-0" in read(page.html(found)).text


def test_waits_for_approval(recorder: Recorder) -> None:
    gated(recorder, PUBLISHED, given={"approval": "pending"})
    assert recorder.page().outcome.sentence.endswith("; it waits for approval.")


def test_one_refused_model_of_several_decides(recorder: Recorder) -> None:
    for number, decision in enumerate([PUBLISHED, REJECTED, REJECTED]):
        kept = recorder.artifact("decision", record.DECISION, {**decision, "at": str(number)})
        recorder.task(f"publish[{number}]", artifacts={"decision": kept})
    assert recorder.page().outcome.sentence == (
        "penguins was rejected by the gate: f1 = 0.8312 is not > 0.85. So was 1 other model. "
        "All the same, penguins version 4 was published."
    )


def test_without_a_gate(recorder: Recorder) -> None:
    recorder.task("ingest")
    recorder.task("score", "SKIPPED", cached_from="penguins-0/score")
    assert recorder.page().outcome.sentence == "All that was to do is done: 2 tasks, 1 from the cache."


def test_the_report_leaves_itself_out_and_no_other_task(recorder: Recorder) -> None:
    recorder.task("ingest")
    for name in ("notify", "report"):
        recorder.metadata.start_task(
            recorder.run, name, name=name, inputs=NOTHING, log="", attempt=1, pid=1, at=recorder.at
        )
    found = recorder.page(own="report")
    assert [bar.name for bar in found.bars] == ["ingest", "notify"]
    assert "▸ still running" in page.html(found)


def test_links_are_relative_inside_the_state_folder_and_lead_somewhere(recorder: Recorder, tmp_path: Path) -> None:
    outside = tmp_path / "schéma #1.yaml"
    outside.write_text("x")
    recorder.task("import", artifacts={"artifact": recorder.store.adopt(str(outside), type="system.Artifact")})
    remote = Artifact("data", record.DATASET, "s3://bucket/data", "ab" * 32, 10)
    recorder.task("fetch", artifacts={"train": remote})
    gated(recorder, REJECTED)
    kept = recorder.artifact("report", "system.HTML", page.html(recorder.page()))
    links = read(kept.path.read_text()).addresses
    inside = [link for link in links if link.startswith("../") and "log.txt" not in link]
    assert len(inside) == 7
    assert all((kept.path.parent / link).exists() for link in inside)
    assert outside.as_uri() in links
    assert "s3://bucket/data" in kept.path.read_text()


@pytest.mark.parametrize("lost", ["everything", "the content"])
def test_lost_artifacts_do_not_break_the_page(recorder: Recorder, lost: str) -> None:
    deployed(recorder)
    for file in (recorder.state / "artifacts").rglob("*"):
        if lost == "the content" and file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"\x00\xff{")
    if lost == "everything":
        shutil.rmtree(recorder.state / "artifacts")
    found = recorder.page()
    html = page.html(found)
    assert_safe(html)
    assert found.outcome.word == "Published and deployed", "the record keeps the decision and the endpoint"
    assert "f1 = 0.9 > 0.85" in found.outcome.sentence
    text = read(html).text
    assert ("no longer where the record says" if lost == "everything" else "cannot be read") in text
    assert ("✕ gone" in text) == (lost == "everything")
    assert "No anomalies" not in text, "nobody knows any more"


def test_names_and_contents_are_escaped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "state", run=SCRIPT)
    hurt: Callable[[Any], Any] = lambda value: (  # noqa: E731
        {key: hurt(each) for key, each in value.items()}
        if isinstance(value, dict)
        else [hurt(each) for each in value]
        if isinstance(value, list)
        else f"{value}{SCRIPT}\"'><img src=x onerror=alert(1)>"
        if isinstance(value, str) and value not in ("published", "classification")
        else value
    )
    kinds = {
        record.METRICS: METRICS | {"metrics": {SCRIPT: 1.0, "f1": 0.5}},
        record.DECISION: PUBLISHED,
        record.ENDPOINT: ENDPOINT,
        record.STATISTICS: STATISTICS,
        record.ANOMALIES: ANOMALIES,
        record.MODEL: MODEL | {"training": {"hyperparameters": {SCRIPT: SCRIPT}}},
    }
    artifacts = {
        kind: recorder.artifact(f"a{number}", kind, hurt(each)) for number, (kind, each) in enumerate(kinds.items())
    }
    strange = Artifact(SCRIPT, SCRIPT, "javascript:alert(1)", SCRIPT, 1, metadata={SCRIPT: SCRIPT})
    named = {**artifacts, SCRIPT: strange}
    recorder.task(f"{SCRIPT}\"'", artifacts=named, reason=SCRIPT, cached_from=f"{SCRIPT}/x", warnings=(SCRIPT,))
    html = page.html(recorder.page(title=f"</title>{SCRIPT}</style>"))
    assert_safe(html)
    assert SCRIPT not in html
    assert "<img" not in html
    assert SCRIPT in read(html).text


def test_the_same_record_gives_the_same_page(recorder: Recorder) -> None:
    deployed(recorder)
    assert page.html(recorder.page()) == page.html(recorder.page())


def test_without_a_record_the_final_status_is_told() -> None:
    status = {"state": "FAILED", "pipelineJobResourceName": "run-7", "error": {"message": "train: no memory"}}
    html = page.html(collect.page(record.read("", ""), status, title="Penguins"))
    assert_safe(html)
    text = read(html).text
    assert "Failed train: no memory." in text
    assert "ORC_STATE and ORC_RUN are not set). This page therefore tells the final status and nothing else." in text
    assert "run-7" in text


@pytest.mark.parametrize("status", [{}, {"state": 3, "error": "x"}, {"state": "SUCCEEDED"}, {"state": "FAILED"}])
def test_any_final_status_gives_a_page(status: dict[str, Any]) -> None:
    assert_safe(page.html(collect.page("There is no record.", status)))


def test_a_run_that_is_not_recorded(recorder: Recorder, tmp_path: Path) -> None:
    assert "'other' is not in the record" in str(record.read(str(recorder.state), "other"))
    assert "there is no" in str(record.read(str(tmp_path / "nowhere"), "other"))
    assert not (tmp_path / "nowhere").exists(), "reading makes no state folder"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def broken(document: Any) -> st.SearchStrategy[Any]:
    """A document of ours in which anything may be anything."""
    if isinstance(document, dict):
        return ANYTHING | st.fixed_dictionaries({}, optional={key: broken(each) for key, each in document.items()})
    if isinstance(document, list):
        return ANYTHING | st.lists(st.one_of([broken(each) for each in document] or [ANYTHING]), max_size=3)
    return st.just(document) | ANYTHING


OURS = {
    record.METRICS: METRICS,
    record.DECISION: REJECTED,
    record.ENDPOINT: ENDPOINT,
    record.STATISTICS: STATISTICS,
    record.ANOMALIES: ANOMALIES,
    record.MODEL: MODEL,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries({kind: broken(each) for kind, each in OURS.items()}),
    st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
)
def test_no_document_breaks_the_page(documents: dict[str, Any], metadata: dict[str, Any]) -> None:
    artifacts = {kind: (Artifact(kind, kind, f"/state/{kind}", metadata=metadata),) for kind in documents}
    outputs = Values({}, artifacts)
    run = RunRecord("r", "p", "RUNNING", "", START, None, {}, NOTHING, "", "", "", (), {}, 1, "")
    task = TaskRecord("r", "t", "t", "t", "SUCCEEDED", "", 1, START, START, NOTHING, outputs, "", "", "", 0, ())
    kept = record.Record(run, (task,), Path("/state"), {f"/state/{kind}": each for kind, each in documents.items()})
    assert_safe(page.html(collect.page(kept, {"state": "SUCCEEDED"})))


def test_headlines_of_a_foreign_document(recorder: Recorder) -> None:
    """A component of somebody else writes what it likes; KFP's metadata is what all have in common."""
    foreign = recorder.artifact("metrics", record.METRICS, "not json", {"speed": 3.5, "name": "x"})
    recorder.task("measure", artifacts={"metrics": foreign})
    kept = record.read(str(recorder.state), recorder.run)
    assert isinstance(kept, record.Record)
    (found,) = contents.evaluations(record.made(kept.tasks), kept)
    assert [(metric.name, metric.value) for metric in found.headlines] == [("speed", 3.5)]


def test_the_component(recorder: Recorder, invoke: Callable[..., program.Result]) -> None:
    """As a process, with the flags and the environment the runner gives it."""
    deployed(recorder)
    environment = {"ORC_STATE": str(recorder.state), "ORC_RUN": recorder.run, "ORC_TASK": "report"}
    result = invoke("report", environment=environment, status={"state": "SUCCEEDED"}, title="Penguins")
    assert result.code == 0, result.stderr
    assert result.stdout.startswith("Published and deployed: penguins version 4 was published")
    assert "<h1>Penguins</h1>" in result.artifacts["report"].read_text()


def test_it_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, components.report.__main__; print(*{'pandas', 'numpy', 'sklearn', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
