"""The queue on disk: a SQLite file that every process of a server may write, and that outlives them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.serving.queue.item import OPEN, TRIES, Item, Outcome

VERSION = 1
PATIENCE = 30.0
NOTICE_TRIES = 8
# How long what became of a request can be asked for.
KEEP_SECONDS = 7 * 24 * 3600.0

_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
  id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, protocol TEXT NOT NULL, headers TEXT NOT NULL, input TEXT NOT NULL,
  output TEXT NOT NULL, failure TEXT NOT NULL, received REAL NOT NULL, expires REAL NOT NULL, timeout REAL NOT NULL,
  status TEXT NOT NULL, tries INTEGER NOT NULL, after REAL NOT NULL, cancel INTEGER NOT NULL, reason TEXT NOT NULL,
  content_type TEXT NOT NULL, began REAL NOT NULL, finished REAL NOT NULL,
  notice REAL, notice_tries INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_turn ON requests (endpoint, status, received);
CREATE INDEX IF NOT EXISTS by_end ON requests (status, expires);
CREATE INDEX IF NOT EXISTS by_notice ON requests (notice) WHERE notice IS NOT NULL;
"""
_NAMES = tuple(each.name for each in fields(Item))
_ALL = ", ".join(_NAMES)


@dataclass(frozen=True, slots=True)
class Notice:
    """A finished item that somebody is to be told of, and how often that was tried."""

    item: Item
    tries: int


class Store:
    """The requests of one server. Any thread may call it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        with self._told():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            self._write_ahead()
            # What a client was promised is on the disk before it is told so.
            self._db.execute("PRAGMA synchronous=FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise BackendError("queue", f"{file} is of version {version}, and this server knows {VERSION}")
            self._db.executescript(_TABLE)
            self._db.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, item: Item) -> None:
        """Queue a request."""
        values = [_written(getattr(item, name)) for name in _NAMES]
        marks = ", ".join("?" * len(_NAMES))
        with self._writing() as db:
            db.execute(f"INSERT INTO requests ({_ALL}) VALUES ({marks})", values)  # noqa: S608  Names of our own.

    def find(self, endpoint: str, id: str) -> Item | None:
        """One request of an endpoint."""
        return next(iter(self._items("endpoint = ? AND id = ?", endpoint, id)), None)

    def latest(self, endpoint: str, limit: int = 100) -> Sequence[Item]:
        """The requests that came last."""
        return self._items("endpoint = ? ORDER BY received DESC LIMIT ?", endpoint, limit)

    def knows(self, id: str) -> bool:
        """Whether there is such a request."""
        return bool(self._items("id = ?", id))

    def waiting(self, endpoint: str) -> int:
        """How many requests of an endpoint have not been begun."""
        asked = "SELECT count(*) FROM requests WHERE endpoint = ? AND status = 'Queued'"
        with self._told(), self._lock:
            return int(self._db.execute(asked, (endpoint,)).fetchone()[0])

    def claim(self, endpoint: str, now: float) -> Item | None:
        """Take the request whose turn it is, to be answered by the caller."""
        turn = "endpoint = ? AND status = 'Queued' AND after <= ? AND expires > ? ORDER BY received LIMIT 1"
        with self._writing() as db:
            row = db.execute(f"SELECT id FROM requests WHERE {turn}", (endpoint, now, now)).fetchone()  # noqa: S608
            if row is None:
                return None
            db.execute(
                "UPDATE requests SET status = 'InProgress', tries = tries + 1, began = ? WHERE id = ?", (now, row[0])
            )
            return _one(db, row[0])

    def finish(self, id: str, outcome: Outcome, now: float, *, tell: bool = False) -> Item:
        """Say what became of a request, and whether somebody is to be told."""
        with self._writing() as db:
            db.execute(
                f"UPDATE requests SET status = ?, reason = ?, content_type = ?, finished = ?, notice = ? WHERE id = ? "  # noqa: S608
                f"AND status IN {OPEN}",
                (outcome.status, outcome.reason, outcome.content_type, now, now if tell else None, id),
            )
            return _one(db, id)

    def put_back(self, id: str, after: float, *, counted: bool = True, reason: str = "") -> None:
        """Let a request be begun again, later; uncounted when we stopped it ourselves."""
        with self._writing() as db:
            db.execute(
                "UPDATE requests SET status = 'Queued', after = ?, began = 0, tries = tries - ?, reason = ? "
                "WHERE id = ? AND status = 'InProgress'",
                (after, int(not counted), reason, id),
            )

    def recover(self) -> Sequence[Item]:
        """What a server that died had begun is queued again; returned is what was begun too often."""
        with self._writing() as db:
            db.execute(
                "UPDATE requests SET status = 'Queued', began = 0 WHERE status = 'InProgress' AND tries < ?", (TRIES,)
            )
        return self._items("status = 'InProgress'")

    def expired(self, now: float) -> Sequence[Item]:
        """Requests that waited too long."""
        return self._items("status = 'Queued' AND expires <= ? LIMIT 100", now)

    def cancel(self, endpoint: str, id: str, now: float) -> Item | None:
        """Cancel a request: at once while it waits; what is being answered is marked, and ended soon."""
        with self._writing() as db:
            db.execute(
                "UPDATE requests SET status = 'Cancelled', finished = ? "
                "WHERE endpoint = ? AND id = ? AND status = 'Queued'",
                (now, endpoint, id),
            )
            db.execute(
                "UPDATE requests SET cancel = 1 WHERE endpoint = ? AND id = ? AND status = 'InProgress'", (endpoint, id)
            )
        return self.find(endpoint, id)

    def cancelled(self) -> set[str]:
        """What is being answered although its client wants it no more."""
        return {item.id for item in self._items("status = 'InProgress' AND cancel = 1")}

    def notices(self, now: float, endpoints: Collection[str]) -> Sequence[Notice]:
        """What somebody is to be told of now by these endpoints."""
        due = f"notice <= ? AND endpoint IN ({', '.join('?' * len(endpoints))}) ORDER BY notice LIMIT 50"
        with self._told(), self._lock:
            rows = self._db.execute(
                f"SELECT {_ALL}, notice_tries FROM requests WHERE {due}",  # noqa: S608  Question marks.
                (now, *endpoints),
            ).fetchall()
        return [Notice(_read(row[:-1]), row[-1]) for row in rows]

    def noticed(self, id: str, again: float | None = None) -> None:
        """Somebody was told, or is to be told later."""
        with self._writing() as db:
            db.execute("UPDATE requests SET notice = ?, notice_tries = notice_tries + 1 WHERE id = ?", (again, id))

    def prune(self, now: float) -> None:
        """Forget what finished long ago, even if nobody was told of it: its endpoint has been gone for as long."""
        with self._writing() as db:
            db.execute(
                f"DELETE FROM requests WHERE status NOT IN {OPEN} AND finished < ?",  # noqa: S608
                (now - KEEP_SECONDS,),
            )

    def _write_ahead(self) -> None:
        """Switch to WAL, for which SQLite does not wait for another process that does the same."""
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

    def _items(self, where: str, *values: object) -> list[Item]:
        with self._told(), self._lock:
            rows = self._db.execute(f"SELECT {_ALL} FROM requests WHERE {where}", values).fetchall()  # noqa: S608
        return [_read(row) for row in rows]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:  # Interrupted, too.
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise BackendError("queue", f"{self._file}: {error}") from error


def _one(db: sqlite3.Connection, id: str) -> Item:
    return _read(db.execute(f"SELECT {_ALL} FROM requests WHERE id = ?", (id,)).fetchone())  # noqa: S608


def _read(row: Sequence[object]) -> Item:
    plain = dict(zip(_NAMES, row, strict=True))
    return Item(**{**plain, "headers": json.loads(str(plain["headers"])), "cancel": bool(plain["cancel"])})


def _written(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value
