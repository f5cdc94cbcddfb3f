"""Makes an environment with uv: under a lock, in the folder where it stays, complete once its stamp is written.

Everything that must not wait for it runs elsewhere: a task makes the environment it needs in its own process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from orchestrator.environments import installing

STAMP = "complete.json"
NAME = re.compile(r"[0-9a-f]{32}")
_HINT = "`orc environments make FILE` prepares all of a pipeline's environments while there is a network"
_MEMORY = 30.0  # Seconds for which what failed is not tried again by the tasks of the same run.


@dataclass(frozen=True, slots=True)
class Spec:
    """An environment to be made, as plain data."""

    folder: str
    python: str
    """The Python it is made from."""
    uv: str
    """The program uv; "" when there is none."""
    installs: list[dict[str, Any]] = field(default_factory=list)
    told: str = ""
    """What is installed, for people."""
    by: str = ""
    """Who makes it: what failed for one is not tried again at once by its next task."""
    hasty: bool = False
    """Whether to give up at once without a network, because the program can run elsewhere."""
    own: bool = False
    """An empty environment with pip for one task alone, which installs into it what it wants."""


class NotMadeError(Exception):
    """An environment could not be made."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.reason} (hint: {self.hint})" if self.hint else self.reason


def is_ready(folder: Path) -> bool:
    """Whether an environment is complete, and the Python it was made from is still there."""
    return (folder / STAMP).is_file() and (folder / "bin" / "python").exists()


def ensure(spec: Spec) -> None:
    """Make an environment unless it is there; another process that makes it is waited for. Raises NotMadeError."""
    folder = Path(spec.folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder) as lock:
            if is_ready(folder):
                return
            _recall(spec)
            shutil.rmtree(folder, ignore_errors=True)  # What somebody who was killed had begun.
            try:
                _make(spec, lock)
            except BaseException as error:  # Interrupted, too: half an environment must not stay.
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(error, NotMadeError):
                    _remember(spec, error)
                raise
    except OSError as error:
        raise NotMadeError(f"the environment {folder} cannot be made: {error}") from error


def remove(folder: Path) -> None:
    """Remove an environment; nobody finds it half removed. Raises OSError."""
    with _locked(folder):
        (folder / STAMP).unlink(missing_ok=True)
        shutil.rmtree(folder)
        for ending in (".failed", ".lock"):
            folder.with_name(folder.name + ending).unlink(missing_ok=True)


def satisfied(spec: Spec, python: str) -> bool:
    """Whether the environment of a Python holds all of it already. Nothing is changed, and no network is used."""
    if spec.own or not spec.uv:
        return False
    options = ["--check", "--offline", "--python", python]
    root = Path(spec.folder).parent
    return all(installing.install(spec.uv, each, options, root, -1, quiet=True).code == 0 for each in spec.installs)


def _make(spec: Spec, lock: int) -> None:
    folder = Path(spec.folder)
    root = folder.parent
    if not spec.uv and not spec.own:
        reason = f"{spec.told} must be installed first, and uv is not there to do it"
        raise NotMadeError(reason, "pip install 'orchestrator[kfp]'")
    total = len(spec.installs)
    _progress(spec, 0, total)
    said = _empty(spec, root, lock)
    if said.code != 0:
        raise NotMadeError(f"no environment can be made in {root}: {said.gist}")
    options = ["--python", str(folder / "bin" / "python")]
    for done, install in enumerate(spec.installs, 1):
        said = installing.install(spec.uv, install, options, root, lock, hasty=spec.hasty)
        if said.code != 0:
            hint = _HINT if said.is_offline else ""
            raise NotMadeError(f"{install['told']} cannot be installed: {said.gist}", hint)
        _progress(spec, done, total)
    _write(folder / STAMP, {"told": spec.told, "python": ".".join(map(str, sys.version_info[:3]))})
    _failure(spec).unlink(missing_ok=True)


def _empty(spec: Spec, root: Path, lock: int) -> installing.Said:
    """An environment without packages; one for a task alone has pip, since the task is going to use it."""
    variables = installing.variables(root)
    words = [spec.uv, "venv", "--quiet", "--no-project", "--python", spec.python, spec.folder]
    if not spec.own:
        return installing.run(words, variables, root, lock)
    print("its command installs packages itself: it gets an empty environment of its own for that", flush=True)
    if spec.uv:
        said = installing.run([*words, "--seed"], {**variables, "UV_HTTP_RETRIES": "0"}, root, lock, quiet=True)
        if said.code == 0:
            return said
    return installing.run([spec.python, "-m", "venv", "--clear", spec.folder], variables, root, lock)


def _progress(spec: Spec, done: int, total: int) -> None:
    if spec.by and total:  # Where a task says how far it is.
        print(f"::progress {done}/{total} installing {spec.told}", flush=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the lock of an environment; who else wants to make it waits."""
    file = folder.with_name(folder.name + ".lock")
    while True:
        with file.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for another task, which makes the environment this one needs", flush=True)
                fcntl.flock(stream, fcntl.LOCK_EX)
            if _is_at(stream, file):
                yield stream.fileno()
                return


def _is_at(stream: IO[str], file: Path) -> bool:
    """Whether an open file is still the one of that name: who removes an environment removes its lock."""
    try:
        return file.stat().st_ino == os.fstat(stream.fileno()).st_ino
    except FileNotFoundError:
        return False


def _failure(spec: Spec) -> Path:
    folder = Path(spec.folder)
    return folder.with_name(folder.name + ".failed")


def _remember(spec: Spec, error: NotMadeError) -> None:
    with contextlib.suppress(OSError):
        _write(_failure(spec), {"by": spec.by, "reason": error.reason, "hint": error.hint})


def _recall(spec: Spec) -> None:
    """Raise what went wrong a moment ago in the same run: a hundred tasks need not wait for the same network."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        file = _failure(spec)
        told = json.loads(file.read_text(encoding="utf-8"))
        if spec.by and told["by"] == spec.by and time.time() - file.stat().st_mtime < _MEMORY:
            raise NotMadeError(str(told["reason"]), str(told["hint"]))


def _write(file: Path, data: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(data), encoding="utf-8")
    partial.replace(file)
