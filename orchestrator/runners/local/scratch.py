"""The folder for an attempt's temporary files, its `TMPDIR`: short, for a socket's path has room for 107 bytes.

It lies in the state folder, or below the system's folder for temporary files where that is shorter and must be.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.digest import of_text
from orchestrator.errors import RunError
from orchestrator.runners.local import traces

_LONGEST = 75
"""Bytes of the folder's path: with the 32 that Python's `multiprocessing` adds, a socket still has a name."""


def folder(state: Path, run: str, path: str, attempt: int) -> Path:
    """Where an attempt of a task has its temporary files."""
    name = f"{_of_run(run)}{traces.mark(state, run, path)[:8]}-{attempt}"
    near = state / "tmp" / name
    return near if len(os.fsencode(near)) <= _LONGEST else Path(tempfile.gettempdir(), _prefix(state) + name)


def make(folder: Path) -> None:
    """Make it, empty and nobody else's. Raises OSError, and RunError when somebody else has made it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise RunError(f"its folder for temporary files is somebody else's: {folder}") from None
        shutil.rmtree(folder)
        folder.mkdir(0o700)


def remove(folder: Path) -> None:
    """Remove it with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def clear(state: Path, run: str) -> None:
    """Remove what the tasks of a run left whose runner was killed."""
    for each in left(state):
        if each.name.removeprefix(_prefix(state)).startswith(_of_run(run)):
            remove(each)


def left(state: Path) -> Iterator[Path]:
    """All of a state folder: those of tasks that run, and of attempts whose runner was killed."""
    for above, prefix in ((state / "tmp", ""), (Path(tempfile.gettempdir()), _prefix(state))):
        with contextlib.suppress(OSError), os.scandir(above) as entries:
            for each in entries:
                if each.name.startswith(prefix) and each.is_dir(follow_symlinks=False):
                    yield Path(each.path)


def _of_run(run: str) -> str:
    """How those of a run begin: not all tasks that began are recorded, when their runner was killed."""
    return of_text(run)[:4]


def _prefix(state: Path) -> str:
    """How those of a state folder begin in a folder that others use too."""
    return f"orc-{of_text(str(state))[:8]}-"
