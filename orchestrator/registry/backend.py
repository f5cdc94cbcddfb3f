"""The border to MLflow: a client that neither phones home nor chatters, a database made whole or not at all, one lock.

MLflow makes a fresh database by running all its migrations: 0.85 s here, of 2.3 s for its first answer (1.5 s are its
imports). There is no quicker correct way: SQLAlchemy's `create_all` on MLflow's models is not valid for SQLite. The
migrations are no transaction either, so they run on a file aside, which is then renamed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.errors import BackendError, OrchestratorError

SYSTEM = "model registry"
_SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Bars and links in the log of a task, where nobody sees them move or can follow them.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_REMOTE = re.compile(r"(https?|(postgresql|mysql|mssql)(\+\w+)?)://.+")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI, absolute; None when the registry is remote. Anything else is refused."""
    if _REMOTE.fullmatch(uri):
        return None
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    if path == uri or path in ("", ":memory:"):
        raise OrchestratorError(
            f"{_public(uri)!r} is not a place for a model registry",
            hint="MLFLOW_TRACKING_URI is sqlite:////absolute/path/mlflow.db or the http(s) address of a server",
        )
    return Path(path).absolute()


def client(uri: str) -> Any:
    """An MLflow client for the database or server at `uri`."""
    return _mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)


def _mlflow() -> Any:
    """MLflow, silenced; importing it takes more than a second, so this comes last."""
    os.environ.update(_SILENT)
    # A server that is not there must be reported while somebody still waits, not after seven retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    # MLflow's own use of SQLAlchemy 2.1; nothing that its users or ours could mend.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise OrchestratorError(
            f"the model registry needs MLflow, which is not installed ({error.name})",
            hint="pip install 'orchestrator[mlflow]'",
        ) from error
    # What MLflow logs at an error, traceback and all, it also raises, and we say it in our words.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


def prepare(file: Path) -> None:
    """Make a fresh database at `file` unless there is one; the caller holds the lock."""
    if file.exists() and file.stat().st_size:
        return
    fresh = file.with_name(f"{file.name}.new")
    for leftover in (fresh, fresh.with_name(f"{fresh.name}-journal")):
        leftover.unlink(missing_ok=True)
    _mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{fresh}", artifacts(file).as_uri())
    store.engine.dispose()
    fresh.replace(file)


def artifacts(file: Path) -> Path:
    """Where MLflow may put artifacts of runs; its own default is a folder wherever the program stands."""
    return file.parent / "mlartifacts"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One writer at a time, over threads and processes; the kernel lets go when a process dies."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if file.is_dir() or (file.exists() and not os.access(file, os.W_OK)):
            raise _unwritable(file, None)
        yield
    finally:
        os.close(handle)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """What MLflow, SQLAlchemy and the disk say, said as ours."""
    try:
        yield
    except OrchestratorError:
        raise
    except OSError as error:
        raise BackendError(SYSTEM, f"{_public(uri)}: {error}") from error
    except Exception as error:  # Which classes these are, four packages know, and none has one for all.
        if type(error).__module__.split(".")[0] not in ("mlflow", "sqlalchemy", "alembic", "requests", "urllib3"):
            raise
        # MLflow repeats the address, and what a server's page says, in full.
        said = _public(next((line for line in str(error).splitlines() if line.strip()), type(error).__name__))[:500]
        if "Max retries exceeded" in said:
            said = "the server does not answer"
        raise BackendError(SYSTEM, f"{_public(uri)}: {said}", hint=_hint(said)) from error


def missing(error: Exception) -> bool:
    """Whether MLflow says that what was asked for is not there."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def _hint(said: str) -> str:
    if "not a database" in said:
        return "the file is not an MLflow database; move it away, or set MLFLOW_TRACKING_URI to another place"
    if "does not answer" in said:
        return "is it running, and is MLFLOW_TRACKING_URI its address?"
    if "out-of-date" in said or "migration" in said:
        return "the database was made by another MLflow: back it up, then run `mlflow db upgrade`"
    return ""


def _unwritable(file: Path, error: OSError | None) -> BackendError:
    reason = (error.strerror if error else None) or "not a file that can be written"
    hint = "make its folder writable, or set MLFLOW_TRACKING_URI to another place"
    return BackendError(SYSTEM, f"cannot write {file}: {reason}", hint=hint)


def _public(uri: str) -> str:
    """The URI without a password."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", uri)
