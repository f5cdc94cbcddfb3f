"""Measure a model, and the champion, on the same data."""

from __future__ import annotations

import json
import os
from pathlib import Path

from components.evaluate import document, report
from components.evaluate.evaluate import Champion, Request, evaluate
from components.tables import dataset
from orchestrator import program
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder


def main(task: program.Task) -> None:
    """Load, measure, write."""
    request = Request(
        target=task.value("target") or None,
        positive=task.value("positive"),
        threshold=task.value("threshold"),
        slices=task.value("slices"),
    )
    champion, notes = _champion(task)
    model = folder.load(task.path("model"))
    evaluation = evaluate(model, dataset.read(task.path("data")).to_pandas(), request, champion, notes)
    task.output("metrics").write_text(document.metrics(evaluation), encoding="utf-8")
    drawn = document.classification(evaluation)
    task.output("classification").write_text(json.dumps(drawn, allow_nan=False), encoding="utf-8")
    task.output("report").write_text(report.page(evaluation), encoding="utf-8")
    task.set("f1", evaluation.f1)
    task.set("score", evaluation.score)
    task.metadata("metrics", document.metadata(evaluation))
    task.metadata("classification", drawn)
    if evaluation.dropped:
        total = evaluation.rows + evaluation.dropped
        task.log(f"dropped {evaluation.dropped:,} of {total:,} rows: no value in the target {evaluation.target!r}")
    for note in (*model.notes, *evaluation.notes):
        task.log(note)
    for name, value in evaluation.measured.metrics.items():
        before = evaluation.baseline and evaluation.baseline.measured.metrics.get(name)
        task.log(f"{name} = {value:.4f}" + (f" (baseline {before:.4f})" if before is not None else ""))


def _champion(task: program.Task) -> tuple[Champion | None, list[str]]:
    """The baseline that was asked for, or a note that there is none yet."""
    baseline = task.value("baseline")
    if not baseline:
        return None, []
    from components.evaluate import champion

    wanted = champion.reference(baseline, task.value("name"))
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        hint = "a runner sets it; by hand: MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
        raise OrchestratorError(
            "MLFLOW_TRACKING_URI is not set, so there is no registry to find the baseline in", hint=hint
        )
    candidate = folder.digest(task.path("model"))
    found, note = champion.find(wanted, candidate, tracking_uri=uri, state=Path(os.environ.get("ORC_STATE", ".orc")))
    return found, [note] if note else []


if __name__ == "__main__":
    program.run(__file__, main)
