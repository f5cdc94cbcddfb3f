"""The logs of tasks, as files that may still grow: read in pieces, however large they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from orchestrator.cli import details, screen
from orchestrator.runners.events import Status
from orchestrator.stores.metadata import Attempt, Metadata, TaskRecord

_PAUSE = 0.3
_PROGRESS = b"::progress "
_PIECE = 64 * 1024  # Bytes that are read at once; a longer line is printed in pieces.
_COLOURS = (36, 33, 32, 35, 34, 31)
_WIDEST = 24


def show(metadata: Metadata, run: str, task: str, *, lines: int | None = None) -> None:
    """Print the logs there are, one after the other; `task` chooses one, `lines` how many of the last lines."""
    tasks = details.named(metadata.tasks(run), task) if task else metadata.tasks(run)
    shown = [(each, file) for each in tasks if (file := _file(metadata, each))]
    for index, (each, file) in enumerate(shown):
        if len(shown) > 1:
            _header(each, first=not index)
        reader = _Reader(file, _last(file, lines) if lines is not None else 0)
        for text in reader.new(ended=True):
            sys.stdout.write(text)
    sys.stdout.flush()
    if not shown:
        print(f"run {run} has no logs{f' of {task}' if task else ''} yet", file=sys.stderr)


def follow(metadata: Metadata, run: str, task: str, *, is_over: Callable[[], bool], lines: int | None = None) -> None:
    """Print the logs as they grow, until the run, or the task that was chosen, is over."""
    readers: dict[str, list[_Reader]] = {}
    printer = _Printer()
    first = True
    while True:
        over = is_over()  # Asked first: what is written until then is still read.
        tasks = metadata.tasks(run)
        chosen = details.named(tasks, task) if task else tasks
        over = over or bool(task and all(Status(each.status).final for each in chosen))
        printer.names = [each.name for each in chosen] if len(chosen) > 1 else []
        attempts = metadata.attempts(run)
        for each in chosen:
            listed = readers.setdefault(each.path, [])
            _open(listed, metadata, each, attempts, lines if first else None)
            for reader in listed:
                printer.print(each.name, reader.new(ended=over or reader is not listed[-1]))
        sys.stdout.flush()
        if over:
            return
        first = False
        time.sleep(_PAUSE)


@dataclass(slots=True)
class _Reader:
    """A log and how far it was read."""

    file: Path
    offset: int = 0

    def new(self, *, ended: bool) -> Iterator[str]:
        """The whole lines since the last time, without the progress they report; at its end, what is left too."""
        try:
            log = self.file.open("rb")
        except OSError:
            return
        with log:
            if self.offset > log.seek(0, 2):
                self.offset = 0  # Written anew.
            log.seek(self.offset)
            begins = True
            skipped = False
            while piece := log.readline(_PIECE):
                if not piece.endswith(b"\n") and len(piece) < _PIECE and not ended:
                    return
                self.offset += len(piece)
                skipped = piece.startswith(_PROGRESS) if begins else skipped
                begins = piece.endswith(b"\n")
                if not skipped:
                    yield piece.decode("utf-8", "replace")


@dataclass(slots=True)
class _Printer:
    """Prints what tasks say, each line after the task's name where there are several."""

    names: list[str] = field(default_factory=list)

    def print(self, name: str, texts: Iterator[str]) -> None:
        """Print pieces of a log; a line that does not end is ended, lest another task goes on in it."""
        begins = True
        for text in texts:
            sys.stdout.write(self._prefix(name) + text if begins else text)
            begins = text.endswith("\n")
        if not begins:
            sys.stdout.write("\n")

    def _prefix(self, name: str) -> str:
        if not self.names:
            return ""
        width = min(_WIDEST, max(map(len, self.names)))
        text = f"{name[:width]:<{width}} | "
        if not screen.is_coloured(sys.stdout):
            return text
        return f"\x1b[{_COLOURS[self.names.index(name) % len(_COLOURS)]}m{text}\x1b[0m"


def _open(
    listed: list[_Reader],
    metadata: Metadata,
    task: TaskRecord,
    attempts: Mapping[str, Sequence[Attempt]],
    lines: int | None,
) -> None:
    """Readers for the logs of a task's attempts that have none yet."""
    known = {reader.file for reader in listed}
    now = _file(metadata, task)
    files = [Path(each.log) for each in attempts.get(task.path, ()) if each.log] + ([now] if now else [])
    new = [file for file in dict.fromkeys(files) if file not in known and file.is_file()]
    listed += [_Reader(file, _last(file, lines) if lines is not None else 0) for file in new]


def _last(file: Path, count: int) -> int:
    """Where the last lines of a log begin, progress not counted."""
    with file.open("rb") as log:
        place = log.seek(0, 2)
        for start in _starts(log, place):
            if not count:
                return place
            log.seek(start)
            if log.read(len(_PROGRESS)) != _PROGRESS:
                place = start
                count -= 1
        return 0 if count else place


def _starts(log: IO[bytes], end: int) -> Iterator[int]:
    """Where the lines begin, from the last to the first."""
    at = end
    while at > 0:
        size = min(_PIECE, at)
        at -= size
        log.seek(at)
        piece = log.read(size)
        index = piece.rfind(b"\n")
        while index >= 0:
            if at + index + 1 < end:
                yield at + index + 1
            index = piece.rfind(b"\n", 0, index)
    yield 0


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
    header(f"{task.name}{cached}", first=first)


def header(name: str, *, first: bool) -> None:
    """Print whose log follows."""
    text = f"==> {name} <=="
    print(("" if first else "\n") + (f"\x1b[1m{text}\x1b[0m" if screen.is_coloured(sys.stdout) else text))
