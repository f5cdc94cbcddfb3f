"""Where a table comes from: a file, a URI read through fsspec, or an SQL query run through SQLAlchemy.

No secret is ever taken from an argument: arguments are recorded with the run and shown in the UI.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from components.tables import dataset
from components.tables.reading import Reading
from orchestrator.errors import BackendError, OrchestratorError

PASSWORD = "DATABASE_PASSWORD"  # noqa: S105  The variable's name, not a password.
URL = "DATABASE_URL"

_BATCH = 50_000


@dataclass(frozen=True)
class Origin:
    """A table, the name errors call it by, and the digest of what it was read from."""

    table: pa.Table
    name: str
    digest: str


def file(path: Path, reading: Reading) -> Origin:
    """The table in a local file."""
    table = dataset.read(path, reading)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Origin(table, path.name, digest)


def uri(address: str, reading: Reading) -> Origin:
    """The table in a file behind an address that fsspec understands."""
    parts = urlsplit(address)
    if parts.password:
        hint = "take it out; file systems find credentials in their own environment variables and files"
        raise OrchestratorError("uri: holds a password", hint=hint)
    name = Path(parts.path).name or address
    raw = _fetched(address)
    return Origin(dataset.parse(raw, name, reading), name, hashlib.sha256(raw).hexdigest())


def query(statement: str, database: str | None, reading: Reading, environment: Mapping[str, str]) -> Origin:
    """The result of an SQL query; its digest is that of the rows."""
    table = dataset.plain(_selected(statement, _url(database, environment)), "query", reading)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return Origin(table, "query", hashlib.sha256(stream.getvalue()).hexdigest())


def _fetched(address: str) -> bytes:
    import fsspec

    scheme = urlsplit(address).scheme or "file"
    shown = address.partition("?")[0]  # A signed URL carries its signature behind the question mark.
    try:
        system, path = fsspec.core.url_to_fs(address)
        raw: bytes = system.cat_file(path)
    except ImportError as error:
        hint = "s3, gs and https come with pip install 'orchestrator[remote]'; in a container, add it to the image"
        message = f"reading {scheme}:// needs a package that is not installed: {_first_line(error)}"
        raise BackendError(scheme, message, hint=hint) from error
    except FileNotFoundError as error:
        hint = "a task runs in a folder of its own: give an absolute path, or pass the file as source"
        raise BackendError(scheme, f"there is no {shown}", hint=hint if scheme == "file" else "") from error
    # File systems raise their own libraries' errors, which share no base; all of them mean "could not be read".
    except Exception as error:
        reason = _first_line(error).replace(address, shown)
        raise BackendError(scheme, f"cannot read {shown}: {reason}") from error
    return raw


def _url(database: str | None, environment: Mapping[str, str]) -> Any:
    from sqlalchemy import engine, exc

    text = database or environment.get(URL)
    if not text:
        hint = f"give database, or set {URL} in the environment"
        raise OrchestratorError("query: there is no database to ask", hint=hint)
    try:
        url = engine.make_url(text)
    # A malformed port surfaces as a ValueError of Python's own.
    except (exc.ArgumentError, ValueError) as error:
        hint = "it looks like postgresql://user@host:5432/name or sqlite:////absolute/file.db"
        raise OrchestratorError("database: not an SQLAlchemy URL", hint=hint) from error
    if not database:
        return url
    if url.password is not None or any("password" in name.lower() for name in url.query):
        hint = f"take it out and set {PASSWORD} in the environment (as a secret), or the whole URL as {URL}"
        raise OrchestratorError("database: the URL holds a password, and arguments are recorded", hint=hint)
    password = environment.get(PASSWORD)
    return url.set(password=password) if password else url


def _selected(statement: str, url: Any) -> pa.Table:
    import sqlalchemy
    from sqlalchemy import exc

    system = url.get_backend_name()
    if system == "sqlite" and url.database and not Path(url.database).exists():
        # SQLite would make an empty database and then miss the table.
        hint = "a task runs in a folder of its own: give an absolute path, sqlite:////data/sales.db"
        raise BackendError(system, f"there is no file {url.database}", hint=hint)
    try:
        engine = sqlalchemy.create_engine(url)
    except (ImportError, exc.ArgumentError) as error:
        hint = "install the database's driver, e.g. pip install psycopg for postgresql+psycopg://"
        raise BackendError(system, f"no driver for {url.drivername}: {_first_line(error)}", hint=hint) from error
    try:
        with engine.connect() as connection:
            # The text as it is: neither a colon nor a percent sign in it is a parameter.
            streaming = connection.execution_options(stream_results=True, no_parameters=True)
            return _table(streaming.exec_driver_sql(statement))
    except exc.SQLAlchemyError as error:
        reason = _first_line(getattr(error, "orig", None) or error)
        raise BackendError(system, _without(url.password, reason)) from error
    finally:
        engine.dispose()


def _table(result: Any) -> pa.Table:
    if not result.returns_rows:
        raise OrchestratorError("query: returns no rows", hint="the query is one SELECT")
    names = list(result.keys())
    values: list[list[Any]] = [[] for _ in names]
    for rows in result.partitions(_BATCH):
        for column, batch in zip(values, zip(*rows, strict=True), strict=True):
            column.extend(batch)
    columns = []
    for name, column in zip(names, values, strict=True):
        try:
            columns.append(pa.array(column))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            message = f"query: column {name!r} is not of one type: {_first_line(error)}"
            raise OrchestratorError(message, hint="cast it in the query") from error
    return pa.Table.from_arrays(columns, names=names)


def _without(secret: str | None, text: str) -> str:
    return text.replace(secret, "***") if secret else text


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
