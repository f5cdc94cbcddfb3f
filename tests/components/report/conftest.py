"""Real records of runs, as the runner writes them, and a reader of pages that sees what a browser sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from components.report import collect, record
from components.report.facts import Page
from orchestrator.stores.artifacts import NOTHING, Artifact, ArtifactStore, Values
from orchestrator.stores.metadata import Metadata, RunRecord, TaskRecord

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
UNDECIDABLE = {"rule": "f1 > 0.85", "left": None, "operator": ">", "right": 0.85, "passed": None, "note": "f1 is NaN"}
DECISIONS = {
    "rejected": REJECTED,
    "published": PUBLISHED,
    "undecided": REJECTED | {"decision": "undecided", "reason": "f1 is not a number", "rules": [UNDECIDABLE]},
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
            self.metadata.start_task(self.run, name, name=name, inputs=NOTHING, log=log, attempt=attempt, at=self.at)
        self.at += 1 if began else 0
        outputs = Values(parameters or {}, {key: (each,) for key, each in (artifacts or {}).items()})
        self.metadata.finish_task(
            TaskRecord(
                self.run, name, name, name, status, reason, attempts, began, self.at, Values(given or {}), outputs, "",
                cached_from, log, warnings,
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

    def gated(self, outcome: str, **more: Any) -> None:
        """A run up to and with its gate."""
        decision = DECISIONS[outcome]
        data = self.artifact("train", record.DATASET, "PAR1", {"rows": 241, "columns": 9})
        self.task("ingest", artifacts={"train": data}, attempts=3)
        found = {
            "statistics": self.artifact("statistics", record.STATISTICS, STATISTICS),
            "anomalies": self.artifact("anomalies", record.ANOMALIES, ANOMALIES),
            "report": self.artifact("report", "system.HTML", "<p>checked</p>"),
        }
        self.task("validate", artifacts=found, warnings=("mass: 3 rows are below 0",))
        self.task("train", artifacts={"model": self.artifact("model", record.MODEL, MODEL)})
        self.task("evaluate", artifacts={"metrics": self.artifact("metrics", record.METRICS, METRICS)})
        kept = self.artifact(
            "decision", record.DECISION, decision, {"decision": decision["decision"], "reason": decision["reason"]}
        )
        self.task("publish", artifacts={"decision": kept}, **more)

    def deployed(self) -> None:
        self.gated("published")
        about = {"name": "penguins", "url": ENDPOINT["url"], "model": "penguins", "version": "4"}
        self.task("deploy", artifacts={"deployed": self.artifact("deployed", record.ENDPOINT, ENDPOINT, about)})


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


def _read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, "every element is closed"
    return reader


def _safe(html: str) -> Reader:
    reader = _read(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
    assert not reader.handlers
    assert all(each.startswith(("../../../", "file:///")) for each in reader.addresses)
    assert "url(" not in reader.style
    assert "@import" not in reader.style
    return reader


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "state")


@pytest.fixture
def recorder_of() -> Callable[..., Recorder]:
    return Recorder


@pytest.fixture
def documents() -> dict[str, Any]:
    """A document of each type; the decision is a rejection."""
    return {
        record.METRICS: METRICS,
        record.DECISION: REJECTED,
        record.ENDPOINT: ENDPOINT,
        record.STATISTICS: STATISTICS,
        record.ANOMALIES: ANOMALIES,
        record.MODEL: MODEL,
    }


@pytest.fixture
def read() -> Callable[[str], Reader]:
    return _read


@pytest.fixture
def safe() -> Callable[[str], Reader]:
    """Reads a page in which nothing is loaded, nothing runs, and no link leads out of this machine."""
    return _safe
