"""The logs of a run on a cluster: what the pods of its tasks wrote, as far as the cluster still has them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestrator.cli import complaint, details, extras, wording
from orchestrator.cli import log as logs
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings
from orchestrator.stores.metadata import RunRecord, TaskRecord


def show(
    record: RunRecord, tasks: Sequence[TaskRecord], settings: Settings, task: str, *, follow: bool, lines: int | None
) -> int:
    """Print them, of one task or of all, one after the other; the exit code."""
    with extras.needed("kubernetes"):
        from orchestrator.runs import pods

        chosen = details.named(tasks, task) if task else tasks
        found = pods.logs(record, settings, [each.path for each in chosen], follow=follow, lines=lines)
        count = lacking = 0
        for each in found:
            logs.header(each.name, first=not count)
            sys.stdout.flush()
            count += 1
            try:
                for line in each.lines:
                    sys.stdout.write(f"{wording.printable(line)}\n")
                    if follow:
                        sys.stdout.flush()
            except OrchestratorError as error:
                complaint.tell(error)  # Of the others there may be more.
                lacking = error.exit_code
    sys.stdout.flush()
    if not count:
        print(f"run {record.id} has no pods{f' of {task}' if task else ''} yet", file=sys.stderr)
    return lacking
