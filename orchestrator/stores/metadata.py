"""The record of runs: what was asked, what ran, what came of it, and what may be used again. One schema, SQLite."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import BackendError, NotFoundError, RunError
from orchestrator.stores.artifacts import NOTHING, Artifact, Values
from orchestrator.stores.records import CacheEntry, RunRecord, TaskRecord

__all__ = ["CacheEntry", "Metadata", "RunRecord", "TaskRecord"]

VERSION = 1
LAST = "last"
PATIENCE = 30.0
"""How many seconds to wait for another process that writes."""

_SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    started REAL NOT NULL, finished REAL, arguments TEXT NOT NULL, outputs TEXT NOT NULL DEFAULT '{}',
    ir TEXT NOT NULL, source TEXT NOT NULL, base TEXT NOT NULL, code_paths TEXT NOT NULL,
    options TEXT NOT NULL, pid INTEGER NOT NULL DEFAULT 0, pid_started TEXT NOT NULL DEFAULT '');
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE tasks (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, path TEXT NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, component TEXT NOT NULL DEFAULT '', status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0, started REAL, finished REAL, inputs TEXT NOT NULL DEFAULT '{}',
    outputs TEXT NOT NULL DEFAULT '{}', cache_key TEXT NOT NULL DEFAULT '', cached_from TEXT NOT NULL DEFAULT '',
    log TEXT NOT NULL DEFAULT '', pid INTEGER NOT NULL DEFAULT 0, warnings TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (run, path)) WITHOUT ROWID;
CREATE TABLE cache (
    key TEXT PRIMARY KEY, run TEXT NOT NULL, path TEXT NOT NULL, outputs TEXT NOT NULL, created REAL NOT NULL
    ) WITHOUT ROWID;
"""


class Metadata:
    """The state database. Every method that writes is one transaction."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            hint = "set ORC_STATE to a folder that can be written"
            raise BackendError("state", f"{file}: {error}", hint=hint) from error
        self._db.row_factory = sqlite3.Row
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # -- runs

    def start_run(self, record: RunRecord, tasks: Sequence[tuple[str, str]]) -> None:
        """Record a run that begins, and its known tasks (path, name) as pending. Raises RunError if there is one."""
        with self._transaction():
            if self._db.execute("SELECT 1 FROM runs WHERE id=?", (record.id,)).fetchone():
                hint = f"choose another name, or `orc resume {record.id}`"
                raise RunError(f"there is already a run {record.id!r}", run=record.id, hint=hint)
            self._db.execute(
                "INSERT INTO runs (id, pipeline, status, started, arguments, ir, source, base, code_paths, options,"
                " pid, pid_started) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    record.id, record.pipeline, record.status, record.started, _json(record.arguments), record.ir,
                    record.source, record.base, _json(record.code_paths), _json(record.options), record.pid,
                    record.pid_started,
                ),
            )  # fmt: skip
            self._db.executemany(
                "INSERT INTO tasks (run, path, position, name, status) VALUES (?,?,?,?,'PENDING')",
                [(record.id, path, position, name) for position, (path, name) in enumerate(tasks)],
            )

    def restart_run(self, record: RunRecord, *, pid: int, pid_started: str) -> bool:
        """Record that a run goes on: what had not finished well is pending again. False if somebody was faster."""
        with self._transaction():
            taken = self._db.execute(
                "UPDATE runs SET status='RUNNING', reason='', finished=NULL, pid=?, pid_started=?"
                " WHERE id=? AND status=? AND pid=? AND pid_started=?",
                (pid, pid_started, record.id, record.status, record.pid, record.pid_started),
            ).rowcount
            if not taken:
                return False
            self._db.execute(
                "UPDATE tasks SET status='PENDING', reason='', started=NULL, finished=NULL"
                " WHERE run=? AND status NOT IN ('SUCCEEDED', 'SKIPPED')",
                (record.id,),
            )
        return True

    def finish_run(self, run: str, *, status: str, reason: str, outputs: Values, at: float) -> None:
        """Record how a run ended; a task that had not ended by then has ended with it."""
        with self._transaction():
            self._db.execute(
                "UPDATE tasks SET status='CANCELLED', finished=? WHERE run=? AND status IN ('RUNNING', 'PENDING')",
                (at, run),
            )
            self._db.execute(
                "UPDATE runs SET status=?, reason=?, outputs=?, finished=? WHERE id=?",
                (status, reason, _dump(outputs), at, run),
            )

    def run(self, reference: str) -> RunRecord:
        """A run by its id, the beginning of it, or `last`. Raises NotFoundError."""
        with self._told():
            rows = self._db.execute(
                "SELECT * FROM runs WHERE id = ?1 OR (?1 = 'last')"
                " OR (length(?1) > 0 AND substr(id, 1, length(?1)) = ?1) ORDER BY id = ?1 DESC, started DESC LIMIT 2",
                (reference,),
            ).fetchall()
        exact = bool(rows) and rows[0]["id"] == reference
        if not rows or (len(rows) > 1 and not exact and reference != LAST):
            hint = "several runs begin so" if rows else ""
            raise NotFoundError("run", reference, known=[run.id for run in self.runs(100)], hint=hint)
        return _run(rows[0])

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        with self._told():
            rows = self._db.execute("SELECT * FROM runs ORDER BY started DESC, id LIMIT ?", (limit,)).fetchall()
        return [_run(row) for row in rows]

    # -- tasks

    def start_task(self, run: str, path: str, *, name: str, inputs: Values, log: str, attempt: int, at: float) -> None:
        """Record that an attempt of a task begins."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tasks (run, path, position, name, status, inputs, log, attempt, started)"
                " VALUES (?1,?2,(SELECT count(*) FROM tasks WHERE run=?1),?3,'RUNNING',?4,?5,?6,?7)"
                " ON CONFLICT (run, path) DO UPDATE SET status='RUNNING', reason='', inputs=excluded.inputs,"
                " log=excluded.log, attempt=excluded.attempt, finished=NULL,"
                " started=CASE WHEN excluded.attempt > 1 THEN coalesce(tasks.started, excluded.started)"
                " ELSE excluded.started END",
                (run, path, name, _dump(inputs), log, attempt, at),
            )

    def finish_task(self, record: TaskRecord, *, remember: bool = False) -> None:
        """Record how a task ended and, with `remember`, that its outputs may be used again: both or neither."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tasks (run, path, position, name, component, status, reason, attempt, started, finished,"
                " inputs, outputs, cache_key, cached_from, log, warnings)"
                " VALUES (?1,?2,(SELECT count(*) FROM tasks WHERE run=?1),?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"
                " ON CONFLICT (run, path) DO UPDATE SET component=excluded.component, status=excluded.status,"
                " reason=excluded.reason, started=coalesce(tasks.started, excluded.started),"
                " finished=excluded.finished, inputs=excluded.inputs, outputs=excluded.outputs,"
                " cache_key=excluded.cache_key, cached_from=excluded.cached_from, warnings=excluded.warnings",
                (
                    record.run, record.path, record.name, record.component, record.status, record.reason,
                    record.attempt, record.started, record.finished, _dump(record.inputs), _dump(record.outputs),
                    record.cache_key, record.cached_from, record.log, _json(record.warnings),
                ),
            )  # fmt: skip
            if remember and record.cache_key:
                self._db.execute(
                    "INSERT OR REPLACE INTO cache (key, run, path, outputs, created) VALUES (?,?,?,?,?)",
                    (record.cache_key, record.run, record.path, _dump(record.outputs), record.finished),
                )

    def tasks(self, run: str) -> list[TaskRecord]:
        """The tasks of a run in order of the graph."""
        with self._told():
            rows = self._db.execute("SELECT * FROM tasks WHERE run=? ORDER BY position", (run,)).fetchall()
        return [_task(row) for row in rows]

    # -- cache

    def cached(self, key: str) -> CacheEntry | None:
        """The outputs remembered under a cache key."""
        with self._told():
            row = self._db.execute("SELECT * FROM cache WHERE key=?", (key,)).fetchone()
        return CacheEntry(row["run"], row["path"], _load(row["outputs"]), row["created"]) if row else None

    def forget(self, key: str) -> None:
        """Drop a cache entry whose artifacts are gone or changed."""
        with self._transaction():
            self._db.execute("DELETE FROM cache WHERE key=?", (key,))

    # -- inside

    def _prepare(self) -> None:
        self._write_ahead()
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")
            elif version != VERSION:
                newer = "a newer" if version > VERSION else "an older"
                hint = "use that version, or set ORC_STATE to another folder"
                raise BackendError("state", f"{self.file} was written by {newer} version of orc", hint=hint)

    def _write_ahead(self) -> None:
        """Switch to WAL. SQLite does not wait for another process in the middle of the same, so two first runs would
        see each other as a locked database."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # A full disk rolls back by itself; what is left to roll back then is nothing.
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BackendError("state", f"{self.file}: {error}", hint=_hint(error)) from error


def _hint(error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return "make room on the disk, then `orc resume`"
    if "readonly" in text or "unable to open" in text:
        return "set ORC_STATE to a folder that can be written"
    if "not a database" in text or "malformed" in text:
        return "move the file away: runs recorded in it are lost, artifacts and models are not"
    return ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _dump(values: Values) -> str:
    if values is NOTHING:
        return "{}"
    listed = {name: [asdict(artifact) for artifact in each] for name, each in values.artifacts.items()}
    return _json({"parameters": dict(values.parameters), "artifacts": listed})


def _load(text: str) -> Values:
    data = json.loads(text)
    listed = data.get("artifacts", {}).items()
    artifacts = {name: tuple(Artifact(**artifact) for artifact in each) for name, each in listed}
    return Values(data.get("parameters", {}), artifacts)


def _run(row: sqlite3.Row) -> RunRecord:
    data = dict(row)
    for name in ("arguments", "options"):
        data[name] = json.loads(data[name])
    return RunRecord(**{**data, "outputs": _load(data["outputs"]), "code_paths": tuple(json.loads(data["code_paths"]))})


def _task(row: sqlite3.Row) -> TaskRecord:
    data = {key: row[key] for key in row.keys() if key not in ("position", "pid")}  # noqa: SIM118  A Row iterates over values.
    loaded = {"inputs": _load(data["inputs"]), "outputs": _load(data["outputs"])}
    return TaskRecord(**{**data, **loaded, "warnings": tuple(json.loads(data["warnings"]))})
