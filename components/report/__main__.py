"""Write one page of the whole run."""

from __future__ import annotations

import os

from components.report import collect, page, record
from orchestrator import program


def main(task: program.Task) -> None:
    """Read the record, collect what a reader asks, write the page."""
    # Optional for whoever calls it by hand: a runner always gives it.
    status = task.value("status") or {}
    kept = record.read(os.environ.get("ORC_STATE", ""), os.environ.get("ORC_RUN", ""))
    collected = collect.page(kept, status, title=task.value("title") or "", own=os.environ.get("ORC_TASK", ""))
    task.output("report").write_text(page.html(collected), encoding="utf-8")
    task.log(f"{collected.outcome.word}: {collected.outcome.sentence}")


if __name__ == "__main__":
    program.run(__file__, main)
