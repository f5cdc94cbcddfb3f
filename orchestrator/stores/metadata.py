"""The record of runs: what was asked, what ran, what came of it, and what may be used again. One schema, SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import NotFoundError, RunError
from orchestrator.stores import clearing
from orchestrator.stores.artifacts import NOTHING, Artifact, Values
from orchestrator.stores.clearing import Cleared, Row
from orchestrator.stores.database import Database
from orchestrator.stores.records import Attempt, CacheEntry, RunRecord, TaskRecord

__all__ = ["Attempt", "CacheEntry", "Metadata", "RunRecord", "TaskRecord"]

LAST = "last"


class Metadata:
    """The state database. Every method that writes is one transaction."""

    def __init__(self, file: Path) -> None:
        self._database = Database(file)
        self._positions: dict[str, int] = {}

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # -- runs

    def start_run(self, record: RunRecord, tasks: Sequence[tuple[str, str]]) -> None:
        """Record a run that begins, and its known tasks (path, name) as pending. Raises RunError if there is one."""
        with self._database.writing() as db:
            if db.execute("SELECT 1 FROM runs WHERE id=?", (record.id,)).fetchone():
                hint = f"choose another name, or `orc resume {record.id}`"
                raise RunError(f"there is already a run {record.id!r}", run=record.id, hint=hint)
            db.execute(
                "INSERT INTO runs (id, pipeline, status, started, arguments, ir, source, base, code_paths, options,"
                " pid, pid_started) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    record.id, record.pipeline, record.status, record.started, _json(record.arguments), record.ir,
                    record.source, record.base, _json(record.code_paths), _json(record.options), record.pid,
                    record.pid_started,
                ),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO tasks (run, path, position, name, status) VALUES (?,?,?,?,'PENDING')",
                [(record.id, path, position, name) for position, (path, name) in enumerate(tasks)],
            )

    def expect_tasks(self, run: str, tasks: Sequence[tuple[str, str]]) -> None:
        """Record tasks (path, name) as pending that a run turned out to have; of one that is known nothing changes."""
        with self._database.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO tasks (run, path, position, name, status) VALUES (?,?,?,?,'PENDING')",
                [(run, path, self._position(db, run), name) for path, name in tasks],
            )

    def describe_run(self, run: str, options: Mapping[str, Any]) -> None:
        """Record what became known about how a run is made."""
        with self._database.writing() as db:
            db.execute("UPDATE runs SET options=? WHERE id=?", (_json(dict(options)), run))

    def restart_run(self, record: RunRecord, *, pid: int, pid_started: str) -> bool:
        """Record that a run goes on: what had not finished well is pending again. False if somebody was faster."""
        with self._database.writing() as db:
            taken = db.execute(
                "UPDATE runs SET status='RUNNING', reason='', finished=NULL, pid=?, pid_started=?"
                " WHERE id=? AND status=? AND pid=? AND pid_started=?",
                (pid, pid_started, record.id, record.status, record.pid, record.pid_started),
            ).rowcount
            if not taken:
                return False
            db.execute(
                "DELETE FROM attempts WHERE run=?1 AND path IN"
                " (SELECT path FROM tasks WHERE run=?1 AND status NOT IN ('SUCCEEDED', 'SKIPPED'))",
                (record.id,),
            )
            db.execute(
                "UPDATE tasks SET status='PENDING', reason='', started=NULL, finished=NULL"
                " WHERE run=? AND status NOT IN ('SUCCEEDED', 'SKIPPED')",
                (record.id,),
            )
        return True

    def finish_run(self, run: str, *, status: str, reason: str, outputs: Values, at: float) -> None:
        """Record how a run ended; a task that had not ended by then has ended with it."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE tasks SET status='CANCELLED', finished=? WHERE run=? AND status IN ('RUNNING', 'PENDING')",
                (at, run),
            )
            db.execute(
                "UPDATE runs SET status=?, reason=?, outputs=?, finished=? WHERE id=?",
                (status, reason, _dump(outputs), at, run),
            )

    def run(self, reference: str) -> RunRecord:
        """A run by its id, the beginning of it, or `last`. Raises NotFoundError."""
        with self._database.reading() as db:
            rows = db.execute(
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
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM runs ORDER BY started DESC, id LIMIT ?", (limit,)).fetchall()
        return [_run(row) for row in rows]

    # -- tasks

    def start_task(self, run: str, path: str, *, name: str, inputs: Values, log: str, attempt: int, at: float) -> None:
        """Record that an attempt of a task begins."""
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO tasks (run, path, position, name, status, inputs, log, attempt, started)"
                " VALUES (?1,?2,?8,?3,'RUNNING',?4,?5,?6,?7)"
                " ON CONFLICT (run, path) DO UPDATE SET status='RUNNING', reason='', inputs=excluded.inputs,"
                " log=excluded.log, attempt=excluded.attempt, finished=NULL,"
                " started=CASE WHEN excluded.attempt > 1 THEN coalesce(tasks.started, excluded.started)"
                " ELSE excluded.started END",
                (run, path, name, _dump(inputs), log, attempt, at, self._position(db, run)),
            )
            if attempt > 1:
                db.execute(
                    "INSERT OR REPLACE INTO attempts (run, path, number, started, log) VALUES (?,?,?,?,?)",
                    (run, path, attempt, at, log),
                )

    def retry_task(self, run: str, path: str, *, attempt: int, reason: str, at: float) -> None:
        """Record that an attempt of a task failed and that another will follow."""
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO attempts (run, path, number, started, finished, reason, log)"
                " SELECT run, path, ?3, started, ?4, ?5, log FROM tasks WHERE run=?1 AND path=?2"
                " ON CONFLICT (run, path, number) DO UPDATE SET finished=excluded.finished, reason=excluded.reason",
                (run, path, attempt, at, reason),
            )

    def finish_task(self, record: TaskRecord, *, remember: bool = False) -> None:
        """Record how a task ended and, with `remember`, that its outputs may be used again: both or neither."""
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO tasks (run, path, position, name, component, status, reason, attempt, started, finished,"
                " inputs, outputs, cache_key, cached_from, log, warnings, key_parts, missed)"
                " VALUES (?1,?2,?18,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
                " ON CONFLICT (run, path) DO UPDATE SET component=excluded.component, status=excluded.status,"
                " reason=excluded.reason, started=coalesce(tasks.started, excluded.started),"
                " finished=excluded.finished, inputs=excluded.inputs, outputs=excluded.outputs,"
                " cache_key=excluded.cache_key, cached_from=excluded.cached_from, warnings=excluded.warnings,"
                " key_parts=excluded.key_parts, missed=excluded.missed",
                (
                    record.run, record.path, record.name, record.component, record.status, record.reason,
                    record.attempt, record.started, record.finished, _dump(record.inputs), _dump(record.outputs),
                    record.cache_key, record.cached_from, record.log, _json(record.warnings),
                    _json(dict(record.key_parts)), record.missed, self._position(db, record.run),
                ),
            )  # fmt: skip
            if remember and record.cache_key:
                db.execute(
                    "INSERT OR REPLACE INTO cache (key, run, path, outputs, created) VALUES (?,?,?,?,?)",
                    (record.cache_key, record.run, record.path, _dump(record.outputs), record.finished),
                )

    def _position(self, db: sqlite3.Connection, run: str) -> int:
        """The place of the next task of a run. Counted here, since it has one writer: SQLite would count them all."""
        if run not in self._positions:
            (last,) = db.execute("SELECT coalesce(max(position), -1) FROM tasks WHERE run=?", (run,)).fetchone()
            self._positions[run] = last
        self._positions[run] += 1
        return self._positions[run]

    def tasks(self, run: str) -> list[TaskRecord]:
        """The tasks of a run in order of the graph."""
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM tasks WHERE run=? ORDER BY position", (run,)).fetchall()
        return [_task(row) for row in rows]

    def attempts(self, run: str) -> Mapping[str, tuple[Attempt, ...]]:
        """The attempts of the tasks that were tried again, by path."""
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM attempts WHERE run=? ORDER BY path, number", (run,)).fetchall()
        found: dict[str, tuple[Attempt, ...]] = {}
        for row in rows:
            attempt = Attempt(row["number"], row["started"], row["finished"], row["reason"], row["log"])
            found[row["path"]] = (*found.get(row["path"], ()), attempt)
        return found

    def alike(self, task: TaskRecord, limit: int = 200) -> list[TaskRecord]:
        """Tasks of the same component or name that gave outputs in a run before this one, the latest first."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT * FROM tasks WHERE (component=?1 OR name=?2) AND status IN ('SUCCEEDED', 'SKIPPED')"
                " AND cache_key <> '' AND finished <= ?3 AND run <> ?4 ORDER BY finished DESC LIMIT ?5",
                (task.component, task.name, task.started or 0.0, task.run, limit),
            ).fetchall()
        return [_task(row) for row in rows]

    def holding(self, digest: str) -> list[TaskRecord]:
        """The tasks of all runs that made, or were given, an artifact whose digest begins so, the earliest first."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT * FROM tasks WHERE instr(outputs, ?1) OR instr(inputs, ?1) ORDER BY finished, run, position",
                (f'"digest": "{digest}',),
            ).fetchall()
        return [_task(row) for row in rows]

    def clear(self, choose: Callable[[Sequence[Row]], Collection[str]], *, trial: bool) -> Cleared:
        """Drop the runs that `choose` names; says what the rest of the record refers to."""
        return clearing.clear(self._database, choose, trial=trial)

    # -- cache

    def cached(self, key: str) -> CacheEntry | None:
        """The outputs remembered under a cache key."""
        with self._database.reading() as db:
            row = db.execute("SELECT * FROM cache WHERE key=?", (key,)).fetchone()
        return _entry(row) if row else None

    def entries(self) -> list[CacheEntry]:
        """Everything that may be used again, the latest first."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT cache.*, tasks.name FROM cache LEFT JOIN tasks USING (run, path)"
                " ORDER BY cache.created DESC, cache.key"
            ).fetchall()
        return [replace(_entry(row), name=row["name"] or "") for row in rows]

    def forget(self, *keys: str) -> None:
        """Drop cache entries."""
        with self._database.writing() as db:
            db.executemany("DELETE FROM cache WHERE key=?", [(key,) for key in keys])


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
    data = {key: row[key] for key in row.keys() if key != "position"}  # noqa: SIM118  A Row iterates over values.
    loaded = {name: _load(data[name]) for name in ("inputs", "outputs")} | {"key_parts": json.loads(data["key_parts"])}
    return TaskRecord(**{**data, **loaded, "warnings": tuple(json.loads(data["warnings"]))})


def _entry(row: sqlite3.Row) -> CacheEntry:
    return CacheEntry(row["run"], row["path"], _load(row["outputs"]), row["created"], row["key"])
