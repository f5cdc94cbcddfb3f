"""What an endpoint served before the deployment that is under way: kept in a file, so that a kill loses nothing.

Whoever deploys holds a lock that the kernel frees with the process. So a file without a holder of its lock is what a
killed deployment left, and the server puts back what it says: nobody watches the alarms of that deployment any more.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration
from orchestrator.stores import whole

_BEFORE = ".before"


@contextlib.contextmanager
def deploying(state: Path, name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Be the only one who deploys to an endpoint; `waiting` is told when somebody else does, and is waited for."""
    lock = _lock(state, name)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("a")
    except OSError as error:
        raise BackendError("state folder", f"{lock.parent} cannot be written: {error.strerror}") from error
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def keep(state: Path, name: str, previous: Declaration | None) -> None:
    """Write down what had proved itself, before anything is changed."""
    whole.write(_file(state, name), declarations.dump(previous) if previous else "")


def forget(state: Path, name: str) -> None:
    """The deployment is over, one way or the other."""
    _file(state, name).unlink(missing_ok=True)


def previous(state: Path, name: str) -> Declaration | None:
    """What is declared, unless it comes from a deployment that was killed: then what was declared before that one."""
    file = _file(state, name)
    try:
        if not file.exists():
            return declarations.read(state, name)
        kept = file.read_text(encoding="utf-8")
        return declarations.load(kept) if kept else None
    except OrchestratorError:  # A damaged declaration serves nobody; it is as good as none.
        return None


def mend(state: Path) -> list[str]:
    """Put back what deployments that were killed had replaced; the names of their endpoints."""
    mended = []
    for file in sorted(declarations.folder(state).glob(f".*{_BEFORE}")):
        name = file.name[1:].removesuffix(_BEFORE)
        # What cannot be written now is put back at another look.
        with (
            contextlib.suppress(BlockingIOError, FileNotFoundError, BackendError),
            _lock(state, name).open("a") as held,
        ):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not file.exists():  # Somebody else was faster.
                continue
            _put_back(state, name, file.read_text(encoding="utf-8"))
            forget(state, name)
            mended.append(name)
    return mended


def _put_back(state: Path, name: str, kept: str) -> None:
    if not kept:
        declarations.remove(state, name)
        return
    try:
        declaration = declarations.load(kept)
    except OrchestratorError:
        return  # What cannot be read, such as that of another version of this program, is no reason to end an endpoint.
    declarations.write(state, declaration)


def _file(state: Path, name: str) -> Path:
    return declarations.folder(state) / f".{name}{_BEFORE}"


def _lock(state: Path, name: str) -> Path:
    return declarations.folder(state) / f".{name}.deploying"
