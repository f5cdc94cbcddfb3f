"""Predict for the records of a file, or of many."""

from __future__ import annotations

import json
import os
import time
from itertools import islice

from components.batch_predict import batch_predict
from orchestrator import program
from orchestrator.errors import OrchestratorError
from orchestrator.serving.batch import batch
from orchestrator.serving.batch.batch import Done

SECONDS = 1.0
SHOWN = 20


def main(task: program.Task) -> None:
    """Find the model, predict, say how it went."""
    plan = batch_predict.planned({name: task.value(name) for name in _PARAMETERS})
    model = batch_predict.model(task.optional_path("model"), task.value("version"), os.environ)
    output, quarantine = task.output("predictions"), task.output("quarantine")
    # What is bad is told also when it is too much.
    quarantine.touch()
    where = batch_predict.places(task.optional_path("data"), task.value("uri"), task.value("to"), output)
    try:
        done = batch.run(
            model,
            plan,
            source=where.source,
            target=where.target,
            quarantine=str(quarantine),
            said=_progress(task),
        )
    except OrchestratorError:
        # Outputs of a task that fails are not kept; its log is.
        with quarantine.open(encoding="utf-8") as bad:
            for line in islice(bad, SHOWN):
                task.log(line.rstrip())
        raise
    if where.is_listed:
        lines = [json.dumps({"predictions": each}, ensure_ascii=False) + "\n" for each in done.outputs]
        output.write_text("".join(lines), encoding="utf-8")
    task.set("rows", done.records)
    task.set("bad", done.bad)
    about = {"rows": done.records, "bad": done.bad, "model": model.label, "model_sha256": model.digest}
    task.metadata("predictions", about)
    task.log(f"{model.label}: predictions for {done.records:,} records")
    if done.bad:
        task.warn(f"{done.bad:,} of {done.records:,} records are bad; the first: {done.first}")
    if done.unread:
        task.log(f"not read: {', '.join(sorted(done.unread))}")


def _progress(task: program.Task) -> batch.Said:
    last = time.monotonic()

    def said(done: Done) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            task.progress(round(done.share, 3), 1, f"{done.records:,} records")

    return said


_PARAMETERS = (
    *("split", "join", "format", "output_format", "header", "delimiter", "input_filter", "output_filter", "name"),
    *("error_threshold", "batch_size", "max_payload", "workers", "retries", "timeout"),
)


if __name__ == "__main__":
    program.run(__file__, main)
