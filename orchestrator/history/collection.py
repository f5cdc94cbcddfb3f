"""What nothing refers to any more, removed: whole or not at all, beside runs that go on, and again after being killed.

First the record loses the runs that go, in one transaction that also finds what the rest of it refers to. Then each
folder of the store that is not among that is renamed aside, and removed. A run that goes on may have kept or looked up
content which it has not recorded yet: the store touches a folder whenever it does either. So a folder touched since
the oldest of those runs began stays, and one that was touched while it was renamed is renamed back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import digest
from orchestrator.history import retention
from orchestrator.history.retention import Rules
from orchestrator.runners.local import scratch
from orchestrator.stores import clearing
from orchestrator.stores.clearing import Cleared, Row
from orchestrator.stores.metadata import Metadata

ASIDE = ".aside-"
_SLACK = 60.0  # Seconds that the clocks of disk and machine may differ.
_UNIT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}")
_LEFT = ("fetch-*", "copy-*", f"{ASIDE}*")
_SECRETS = ".secrets"  # Of a run that was killed; any other has removed it.
_WORK = ("work", "work-[0-9]*", "out", "out-[0-9]*")


@dataclass(frozen=True, slots=True)
class Freed:
    """What was removed, or would be."""

    runs: tuple[str, ...] = ()
    entries: int = 0
    """Cache entries."""
    artifacts: int = 0
    folders: int = 0
    """Folders of runs, and working folders of their tasks."""
    leftovers: int = 0
    """What a killed process left."""
    size: int = 0
    """Bytes."""


def collect(
    metadata: Metadata,
    state: Path,
    rules: Rules,
    *,
    alive: Callable[[Row], bool],
    beside: Sequence[Path],
    now: float,
    trial: bool,
) -> Freed:
    """Remove what may go. Files in `beside` may refer to artifacts too: the registry's, those of endpoints."""
    store, runs = state / "artifacts", state / "runs"
    touched = dict(_units(store))
    known = [folder for folder in _folders(runs) if folder.name]
    going: list[float] = []

    def choose(rows: Sequence[Row]) -> set[str]:
        going.extend(row.started for row in rows if alive(row))
        return retention.expired(rows, rules, now=now, alive=alive)

    cleared = metadata.clear(choose, trial=trial)
    more, _ = clearing.referred(piece for file in beside for piece in clearing.pieces(file))
    needed = cleared.units | more
    limit = min(going, default=float("inf")) - _SLACK
    free = {unit: at for unit, at in touched.items() if unit not in needed and at / 1e9 < limit}
    working = list(_working(known, cleared, alive, now))
    left = [*_leftovers(store, limit), *_temporary(state, min(limit, now - _SLACK))]
    size = sum(_size(path) for path in [*(store / unit for unit in free), *working, *left])
    if not trial:
        _mend(store, needed)
        _sweep(store, free)
        _remove([*working, *left])
    return Freed(cleared.dropped, cleared.entries, len(free), len(working), len(left), size)


def _units(store: Path) -> Iterator[tuple[str, int]]:
    """The folders of the store, each with the time it was touched last."""
    for above in _folders(store):
        for folder in _folders(above):
            unit = f"{above.name}/{folder.name}"
            if _UNIT.fullmatch(unit):
                with contextlib.suppress(FileNotFoundError):
                    yield unit, folder.stat().st_mtime_ns


def _working(known: Iterable[Path], cleared: Cleared, alive: Callable[[Row], bool], now: float) -> Iterator[Path]:
    """Folders of runs that are not recorded or outlived, and the working folders of the others that have ended."""
    rows = {row.id: row for row in cleared.kept}
    used = {each.partition("/")[0] for each in cleared.folders}
    for folder in known:
        row = rows.get(folder.name)
        if row is not None and alive(row):
            continue
        if folder.name not in used and (row is None or retention.outlived(row, now)):
            yield folder
            continue
        if (folder / _SECRETS).is_dir():
            yield folder / _SECRETS
        for task in _folders(folder):
            # A folder with a point belongs to the run: its workspace, which goes on with a run that is resumed.
            if not task.name.startswith(".") and f"{folder.name}/{task.name}" not in cleared.folders:
                yield from (path for pattern in _WORK for path in task.glob(pattern) if path.is_dir())


def _leftovers(store: Path, limit: float) -> Iterator[Path]:
    """What a process that was killed while it fetched, copied or removed something left."""
    for path in [*(each for pattern in _LEFT for each in store.glob(pattern)), *store.glob("??/*/copy-*")]:
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and path.stat().st_mtime < limit:
                yield path


def _temporary(state: Path, limit: float) -> Iterator[Path]:
    """What the tasks of a killed runner left of temporary files."""
    for path in scratch.left(state):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                yield path


def _mend(store: Path, needed: frozenset[str] | set[str]) -> None:
    """Put back what another collection renamed aside, and was killed before it saw that it is needed."""
    for folder in store.glob(f"{ASIDE}*/*"):
        unit = f"{folder.name[:2]}/{folder.name}"
        if unit in needed and not (store / unit).exists():
            with contextlib.suppress(OSError):
                (store / unit).parent.mkdir(exist_ok=True)
                folder.rename(store / unit)


def _sweep(store: Path, free: dict[str, int]) -> None:
    """Remove folders of the store, unless somebody takes one into use meanwhile."""
    if not free:
        return
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=store))
    for unit, at in free.items():
        folder, place = store / unit, aside / unit[3:]
        try:
            if folder.stat().st_mtime_ns != at:
                continue
            folder.rename(place)
            if place.stat().st_mtime_ns != at:
                place.rename(folder)
                continue
        except OSError:
            continue  # Somebody else was there first, or has made it anew.
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    shutil.rmtree(aside, ignore_errors=True)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [Path(each.path) for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return digest.size(path)
    except OSError:
        return 0
