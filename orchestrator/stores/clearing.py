"""Runs and cache entries dropped from the record in one transaction, and what the rest of it still refers to."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from orchestrator.stores.database import Database
from orchestrator.stores.records import LOCAL

_UNIT = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{30})(?![0-9a-f])")
_WORK = re.compile(r"/runs/([^/\"\\]+/[^/\"\\]+)/(?:work|out)")
_PIECE = 1024 * 1024
_OVERLAP = 128  # Letters: more than a reference has.


@dataclass(frozen=True, slots=True)
class Row:
    """What of a run decides whether it is kept; its IR only where that speaks of a time to live."""

    id: str
    pipeline: str
    status: str
    started: float
    finished: float | None
    ir: str
    pid: int
    pid_started: str
    earlier: str
    """The run it builds on, if there is one."""
    on: str = LOCAL
    """Where its tasks run."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a record is without the runs that were dropped."""

    dropped: tuple[str, ...]
    kept: tuple[Row, ...]
    entries: int
    """How many cache entries went with the runs."""
    units: frozenset[str]
    """The folders of the artifact store, as `ab/abcd...`, that what is kept refers to."""
    folders: frozenset[str]
    """The folders of tasks, as `RUN/TASK`, whose working folder holds an artifact."""


def clear(database: Database, choose: Callable[[Sequence[Row]], Collection[str]], *, trial: bool) -> Cleared:
    """Drop the runs that `choose` names, with cache entries no other run has; as a `trial` only say what would be."""
    with database.writing(trial=trial) as db:
        return _clear(db, choose)


def referred(texts: Iterator[str]) -> tuple[set[str], set[str]]:
    """The folders of the store, and the working folders, that texts name."""
    units: set[str] = set()
    folders: set[str] = set()
    for text in texts:
        units.update(f"{match[1]}/{match[2]}" for match in _UNIT.finditer(text))
        folders.update(unquote(match[1]) for match in _WORK.finditer(text))
    return units, folders


def pieces(file: Path) -> Iterator[str]:
    """A file of any kind as pieces of text that overlap, so that no reference falls between two; "" when it is gone."""
    try:
        with file.open("rb") as stream:
            before = ""
            while piece := stream.read(_PIECE):
                text = piece.decode("latin-1")
                yield before + text
                before = text[-_OVERLAP:]
    except OSError:
        return


def _clear(db: sqlite3.Connection, choose: Callable[[Sequence[Row]], Collection[str]]) -> Cleared:
    found = db.execute(
        "SELECT id, pipeline, status, started, finished, pid, pid_started,"
        " CASE WHEN instr(ir, 'resourceTtl') THEN ir ELSE '' END AS ir, options FROM runs ORDER BY started DESC, id"
    ).fetchall()
    rows = [_row(dict(row)) for row in found]
    chosen = set(choose(rows))
    dropped = tuple(row.id for row in rows if row.id in chosen)
    db.executemany("DELETE FROM runs WHERE id=?", [(run,) for run in dropped])
    # What a kept run took from the cache stays in it, whichever run made it.
    entries = db.execute("DELETE FROM cache WHERE key NOT IN (SELECT cache_key FROM tasks)").rowcount
    units, folders = referred(_texts(db))
    kept = tuple(row for row in rows if row.id not in chosen)
    return Cleared(dropped, kept, entries, frozenset(units), frozenset(folders))


def _row(data: dict[str, Any]) -> Row:
    options = json.loads(data.pop("options"))
    return Row(**data, earlier=str(options.get("earlier") or ""), on=str(options.get("on") or LOCAL))


def _texts(db: sqlite3.Connection) -> Iterator[str]:
    """Every text of the record that may hold the place of an artifact."""
    for query in (
        "SELECT inputs || outputs FROM tasks",
        "SELECT arguments || outputs || options FROM runs",
        "SELECT outputs FROM cache",
    ):
        for row in db.execute(query):
            yield row[0]
