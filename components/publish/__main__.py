"""Publish a model if its metrics keep every rule."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from components.publish import measures, publish
from orchestrator import program


def main(task: program.Task) -> None:
    """Decide, publish if so decided, and write both down."""
    candidate = publish.candidate(
        task.path("model"), name=task.value("name"), alias=task.value("alias"), approval=task.value("approval")
    )
    measured = measures.read(task.path("metrics"))
    decision = publish.decide(task.value("rules"), measured, unsafe_without_gate=task.value("unsafe_without_gate"))
    decision, version = publish.publish(candidate, measured, decision, _place())
    document = publish.document(candidate, measured, decision, version, at=datetime.now(UTC))
    task.output("decision").write_text(json.dumps(document, indent=2, allow_nan=False), encoding="utf-8")
    task.metadata("decision", {"decision": decision.outcome.value, "reason": decision.reason})
    task.set("version", version.uri if version else "")
    task.set("published", version is not None)
    for check in decision.checks:
        if check.skipped:
            task.log(check.said)
    task.log(publish.sentence(decision, version))


def _place() -> publish.Place:
    state = os.environ.get("ORC_STATE", "")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or (
        f"sqlite:///{Path(state).absolute() / 'mlflow.db'}" if state else ""
    )
    return publish.Place(uri, Path(state or ".orc"), os.environ.get("ORC_RUN", ""), os.environ.get("ORC_PIPELINE", ""))


if __name__ == "__main__":
    program.run(__file__, main)
