"""The state database as a file: opened, brought to this version, written in transactions, its errors told."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.stores import schema

PATIENCE = 30.0
"""How many seconds to wait for another process that writes."""


class Database:
    """A connection to the state database."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            hint = "set ORC_STATE to a folder that can be written"
            why = (error.strerror if isinstance(error, OSError) else None) or error
            raise BackendError("state", f"{file}: {why}", hint=hint) from error
        self._db.row_factory = sqlite3.Row
        try:
            self._prepare()
        except BaseException:  # Interrupted, too: nobody else has it to close.
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that read."""
        with self._told():
            yield self._db

    @contextlib.contextmanager
    def writing(self, *, trial: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction of its own: nobody else writes meanwhile, and all is written or nothing.

        What is written as a `trial` is taken back.
        """
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:  # Interrupted, too.
                # A full disk rolls back by itself; what is left to roll back then is nothing.
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("ROLLBACK" if trial else "COMMIT")

    def _prepare(self) -> None:
        with self._told():
            self._write_ahead()
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA foreign_keys=ON")
        with self.writing() as db:
            schema.prepare(db, self.file)

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
