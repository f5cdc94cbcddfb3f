"""Nothing in a record can break the page: not names, not lost files, not a document of somebody else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.report import collect, contents, page, record
from orchestrator.stores.artifacts import NOTHING, Artifact, Values
from orchestrator.stores.metadata import RunRecord, TaskRecord

Safe = Callable[[str], Any]
SCRIPT = "<script>alert(1)</script>"


def test_links_are_relative_inside_the_state_folder_and_lead_somewhere(
    recorder: Any, tmp_path: Path, read: Safe
) -> None:
    outside = tmp_path / "schéma #1.yaml"
    outside.write_text("x")
    recorder.task("import", artifacts={"artifact": recorder.store.adopt(str(outside), type="system.Artifact")})
    remote = Artifact("data", record.DATASET, "s3://bucket/data", "ab" * 32, 10)
    recorder.task("fetch", artifacts={"train": remote})
    recorder.gated("rejected")
    kept = recorder.artifact("report", "system.HTML", page.html(recorder.page()))
    links = read(kept.path.read_text()).addresses
    inside = [link for link in links if link.startswith("../") and "log.txt" not in link]
    assert len(inside) == 8, "seven artifacts, and the page of validate once more on top"
    assert all((kept.path.parent / link).exists() for link in inside)
    assert outside.as_uri() in links
    assert "s3://bucket/data" in kept.path.read_text()


@pytest.mark.parametrize("lost", ["everything", "the content"])
def test_lost_artifacts_do_not_break_the_page(recorder: Any, lost: str, safe: Safe, read: Safe) -> None:
    recorder.deployed()
    for file in (recorder.state / "artifacts").rglob("*"):
        if lost == "the content" and file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"\x00\xff{")
    if lost == "everything":
        shutil.rmtree(recorder.state / "artifacts")
    found = recorder.page()
    html = page.html(found)
    safe(html)
    assert found.outcome.word == "Published and deployed", "the record keeps the decision and the endpoint"
    assert "f1 = 0.9 > 0.85" in found.outcome.sentence
    text = read(html).text
    assert ("no longer where the record says" if lost == "everything" else "cannot be read") in text
    assert ("✕ gone" in text) == (lost == "everything")
    assert "No anomalies" not in text, "nobody knows any more"


def test_names_and_contents_are_escaped(
    tmp_path: Path, recorder_of: Callable[..., Any], documents: dict[str, Any], safe: Safe
) -> None:
    recorder = recorder_of(tmp_path / "state", run=SCRIPT)
    documents[record.METRICS] = {"metrics": {SCRIPT: 1.0, "f1": 0.5}}
    documents[record.MODEL] |= {"training": {"hyperparameters": {SCRIPT: SCRIPT}}}
    named = {kind: recorder.artifact(f"a{place}", kind, _hurt(documents[kind])) for place, kind in enumerate(documents)}
    named[SCRIPT] = Artifact(SCRIPT, SCRIPT, "javascript:alert(1)", SCRIPT, 1, metadata={SCRIPT: SCRIPT})
    recorder.task(f"{SCRIPT}\"'", artifacts=named, reason=SCRIPT, cached_from=f"{SCRIPT}/x", warnings=(SCRIPT,))
    html = page.html(recorder.page(title=f"</title>{SCRIPT}</style>"))
    reader = safe(html)
    assert SCRIPT not in html
    assert "<img" not in html
    assert SCRIPT in reader.text


def _hurt(value: Any) -> Any:
    """Every text becomes one that would break out of an element and out of an attribute."""
    if isinstance(value, dict):
        return {key: _hurt(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_hurt(each) for each in value]
    return f"{value}{SCRIPT}\"'><img src=x onerror=alert(1)>" if isinstance(value, str) else value


def test_the_same_record_gives_the_same_page(recorder: Any) -> None:
    recorder.deployed()
    assert page.html(recorder.page()) == page.html(recorder.page())


@pytest.mark.parametrize("status", [{}, {"state": 3, "error": "x"}, {"state": "SUCCEEDED"}, {"state": "FAILED"}])
def test_any_final_status_gives_a_page(status: dict[str, Any], safe: Safe) -> None:
    safe(page.html(collect.page("There is no record.", status)))


def test_a_run_that_is_not_recorded(recorder: Any, tmp_path: Path) -> None:
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


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2))
def test_no_document_breaks_the_page(
    documents: dict[str, Any], safe: Safe, data: st.DataObject, metadata: dict[str, Any]
) -> None:
    read = {f"/state/{kind}": data.draw(broken(each)) for kind, each in documents.items()}
    artifacts = {kind: (Artifact(kind, kind, f"/state/{kind}", metadata=metadata),) for kind in documents}
    run = RunRecord("r", "p", "RUNNING", "", 0, None, {}, NOTHING, "", "", "", (), {}, 1, "")
    outputs = Values({}, artifacts)
    task = TaskRecord("r", "t", "t", "t", "SUCCEEDED", "", 1, 0, 1, NOTHING, outputs, "", "", "", ())
    kept = record.Record(run, (task,), Path("/state"), read)
    safe(page.html(collect.page(kept, {"state": "SUCCEEDED"})))


def test_headlines_of_a_foreign_document(recorder: Any) -> None:
    """A component of somebody else writes what it likes; KFP's metadata is what all have in common."""
    foreign = recorder.artifact("metrics", record.METRICS, "not json", {"speed": 3.5, "name": "x"})
    recorder.task("measure", artifacts={"metrics": foreign})
    kept = record.read(str(recorder.state), recorder.run)
    assert isinstance(kept, record.Record)
    (found,) = contents.evaluations(record.made(kept.tasks), kept)
    assert [(metric.name, metric.value) for metric in found.headlines] == [("speed", 3.5)]
