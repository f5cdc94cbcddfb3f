"""The logs of tasks, as files that may still grow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.cli import details, screen
from orchestrator.runners.events import Status
from orchestrator.stores.metadata import Metadata, TaskRecord

_PAUSE = 0.3
_PROGRESS = b"::progress "


def show(metadata: Metadata, run: str, task: str) -> None:
    """Print the logs there are, one after the other; `task` chooses one."""
    tasks = details.named(metadata.tasks(run), task) if task else metadata.tasks(run)
    shown = [each for each in tasks if _file(metadata, each)]
    for each in shown:
        file = _file(metadata, each)
        if len(shown) > 1:
            _header(each, first=each is shown[0])
        if file:
            _copy(file, 0)
    if not shown:
        print(f"run {run} has no logs{f' of {task}' if task else ''} yet", file=sys.stderr)


def follow(metadata: Metadata, run: str, task: str, *, is_over: Callable[[], bool]) -> None:
    """Print the logs as they grow, until the run is over."""
    read: dict[str, int] = {}
    last = ""
    if task:
        details.named(metadata.tasks(run), task)
    while True:
        over = is_over()  # Asked first: what is written until then is still read.
        for each in _chosen(metadata.tasks(run), task):
            file = _file(metadata, each)
            if not file or not file.exists() or file.stat().st_size <= read.get(each.path, 0):
                continue
            if not task and each.path != last:
                _header(each, first=not last)
                last = each.path
            read[each.path] = _copy(file, read.get(each.path, 0), whole=not over)
        if over:
            return
        time.sleep(_PAUSE)


def _chosen(tasks: Sequence[TaskRecord], task: str) -> Sequence[TaskRecord]:
    return details.named(tasks, task) if task else tasks


def _file(metadata: Metadata, task: TaskRecord) -> Path | None:
    if task.log and Path(task.log).is_file():
        return Path(task.log)
    if task.status == Status.SKIPPED and task.cached_from:
        # The log of a task that was cached is that of the task whose outputs it took.
        run, _, path = task.cached_from.partition("/")
        found = [each.log for each in metadata.tasks(run) if each.path == path and each.log]
        return Path(found[0]) if found and Path(found[0]).is_file() else None
    return None


def _header(task: TaskRecord, *, first: bool) -> None:
    cached = f" (cached from run {task.cached_from.partition('/')[0]})" if task.cached_from else ""
    text = f"==> {task.name}{cached} <=="
    print(("" if first else "\n") + (f"\x1b[1m{text}\x1b[0m" if screen.is_coloured(sys.stdout) else text))


def _copy(file: Path, offset: int, *, whole: bool = False) -> int:
    """Print the lines of the file from `offset`, without the progress they report; where the next one begins.

    With `whole` a last line that has no end yet is left for the next time.
    """
    with file.open("rb") as log:
        log.seek(offset)
        for line in log:
            if whole and not line.endswith(b"\n"):
                break
            offset += len(line)
            if not line.startswith(_PROGRESS):
                sys.stdout.write(line.decode("utf-8", "replace"))
    sys.stdout.flush()
    return offset
