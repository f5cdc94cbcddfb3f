"""Where predictions and bad records are written: beside the place at first, and into it when all is well."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving.batch import records
from orchestrator.serving.batch.task import Rejected
from orchestrator.stores import artifacts, objects


class Sink(Protocol):
    """What takes the bodies that chunks are answered with."""

    def write(self, body: bytes) -> None: ...
    def close(self) -> None: ...


class Texts:
    """Lines of text, gzipped when the name says so."""

    def __init__(self, file: IO[bytes], name: str, header: bytes) -> None:
        # Equal predictions are equal bytes: no time stands in the file.
        self._file: Any = gzip.GzipFile("", "wb", 6, file, mtime=0) if name.endswith(".gz") else file
        self._is_own = self._file is not file
        self._file.write(header)

    def write(self, body: bytes) -> None:
        self._file.write(body)

    def close(self) -> None:
        if self._is_own:
            self._file.close()


class Tables:
    """A Parquet file of which every part has the columns of the first."""

    def __init__(self, file: IO[bytes], empty: Any) -> None:
        import pyarrow.parquet as pq

        self._schema = empty.schema
        self._writer: Any = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, body: bytes) -> None:
        self._writer.write_table(records.rows(body).cast(self._schema))

    def close(self) -> None:
        self._writer.close()


class Quarantine:
    """The bad records as JSON Lines, each with its number, its line and the reason; made with the first of them."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._file: IO[bytes] | None = None
        self._path = Path()

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # What was bad is told whatever became of the rest; an earlier batch's bad records are not taken for this one's.
        if self._file is None and not artifacts.is_remote(self.uri) and artifacts.local_path(self.uri).exists():
            self._opened()
        if self._file is None:
            return
        self._file.close()
        try:
            if artifacts.is_remote(self.uri):
                objects.put(self.uri, self._path)
            else:
                self._path.replace(artifacts.local_path(self.uri))
        finally:
            self._path.unlink(missing_ok=True)

    def write(self, file: str, rejected: Sequence[Rejected]) -> None:
        """Add bad records of a file."""
        for each in rejected:
            told = {"file": file, "record": each.record, **({"line": each.line} if each.line else {})}
            line = json.dumps({**told, "reason": each.reason, "input": each.input}, ensure_ascii=False, default=str)
            # Half of a pair of surrogates is escaped, as it was in the record.
            self._opened().write(line.encode(errors="backslashreplace") + b"\n")

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._path = _beside(self.uri)
            with _said(self.uri):
                self._file = self._path.open("wb")
        return self._file


@contextmanager
def whole(uri: str) -> Iterator[IO[bytes]]:
    """A file to write, which is at its place when all went well, and nowhere when not. Raises BackendError."""
    partial = _beside(uri)
    try:
        with _said(uri), partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if artifacts.is_remote(uri):
            objects.put(uri, partial)
        else:
            with _said(uri):
                partial.replace(artifacts.local_path(uri))
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def check(sources: Sequence[str], outputs: Sequence[str], quarantine: str) -> None:
    """Refuse places that are read from, that are one another, or that are folders. Raises OrchestratorError."""
    read = {each for source in sources for each in _identities(source)}
    written = {each for place in outputs for each in _identities(place)}
    if not written.isdisjoint(_identities(quarantine)):
        message = f"{objects.shown(quarantine)} is to be both an output and the quarantine"
        raise OrchestratorError(message, hint="name another place for one of them")
    for place in (*outputs, quarantine):
        if not read.isdisjoint(_identities(place)):
            raise OrchestratorError(f"{objects.shown(place)} is what is read from", hint="name another place")
        if not artifacts.is_remote(place) and artifacts.local_path(place).is_dir():
            raise OrchestratorError(f"the output {place} is a folder", hint="name a file in it")


def _identities(uri: str) -> set[object]:
    """What tells the file at a place from others: where it lies, links followed, and which one is there."""
    if artifacts.is_remote(uri):
        return {uri}
    path = artifacts.local_path(uri)
    found: set[object] = {os.path.realpath(path)}
    with contextlib.suppress(OSError):  # None is there yet.
        about = path.stat()
        found.add((about.st_dev, about.st_ino))
    return found


def _beside(uri: str) -> Path:
    if artifacts.is_remote(uri):
        handle, name = tempfile.mkstemp(prefix="orc-batch-")
        os.close(handle)
        return Path(name)
    path = artifacts.local_path(uri)
    with _said(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


@contextmanager
def _said(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError("disk", f"cannot write {uri}: {error.strerror or error}") from error
