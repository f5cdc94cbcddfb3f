"""The tables of the state database, and the way from each earlier version of them to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import BackendError

VERSION = 2

_RUNS = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    started REAL NOT NULL, finished REAL, arguments TEXT NOT NULL, outputs TEXT NOT NULL DEFAULT '{}',
    ir TEXT NOT NULL, source TEXT NOT NULL, base TEXT NOT NULL, code_paths TEXT NOT NULL,
    options TEXT NOT NULL, pid INTEGER NOT NULL DEFAULT 0, pid_started TEXT NOT NULL DEFAULT '');
CREATE INDEX runs_by_start ON runs (started);
"""
_TASKS = """
CREATE TABLE tasks (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, path TEXT NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, component TEXT NOT NULL DEFAULT '', status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0, started REAL, finished REAL, inputs TEXT NOT NULL DEFAULT '{}',
    outputs TEXT NOT NULL DEFAULT '{}', cache_key TEXT NOT NULL DEFAULT '', cached_from TEXT NOT NULL DEFAULT '',
    key_parts TEXT NOT NULL DEFAULT '{}', missed TEXT NOT NULL DEFAULT '',
    log TEXT NOT NULL DEFAULT '', warnings TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (run, path)) WITHOUT ROWID;
"""
_CACHE = """
CREATE TABLE cache (
    key TEXT PRIMARY KEY, run TEXT NOT NULL, path TEXT NOT NULL, outputs TEXT NOT NULL, created REAL NOT NULL
    ) WITHOUT ROWID;
"""
# Only tasks that were tried again are in it, with every attempt.
_ATTEMPTS = """
CREATE TABLE attempts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, path TEXT NOT NULL, number INTEGER NOT NULL,
    started REAL, finished REAL, reason TEXT NOT NULL DEFAULT '', log TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, path, number)) WITHOUT ROWID;
"""
_KEPT = (
    "run, path, position, name, component, status, reason, attempt, started, finished, inputs, outputs, cache_key,"
    " cached_from, log, warnings"
)
# Copied rather than altered: SQLite drops columns only since 3.35, and systems with older ones are still around.
_FROM_1 = f"""
ALTER TABLE tasks RENAME TO tasks_1;
{_TASKS}
INSERT INTO tasks ({_KEPT}) SELECT {_KEPT} FROM tasks_1;
DROP TABLE tasks_1;
{_ATTEMPTS}
"""  # noqa: S608  The names are ours.
_STEPS: Mapping[int, str] = {0: _RUNS + _TASKS + _CACHE + _ATTEMPTS, 1: _FROM_1}


def prepare(db: sqlite3.Connection, file: Path) -> None:
    """Bring the tables to this version; the caller holds a transaction. Raises BackendError for a newer one."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version not in _STEPS:
        newer = "a newer" if version > VERSION else "an older"
        hint = "use that version, or set ORC_STATE to another folder"
        raise BackendError("state", f"{file} was written by {newer} version of orc", hint=hint)
    for each in range(version, VERSION) if version else [0]:
        for statement in filter(str.strip, _STEPS[each].split(";")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
