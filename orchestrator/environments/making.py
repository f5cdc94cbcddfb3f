"""Makes an environment with uv: under a lock, in the folder where it stays, complete once its stamp is written.

Everything that must not wait for it runs elsewhere: a task makes the environment it needs in its own process.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAMP = "complete.json"
NAME = re.compile(r"[0-9a-f]{32}")
_PASSWORD = re.compile(r"://[^/\s@'\"]+@")
_MEMORY = 30.0  # Seconds for which what failed is not tried again by the tasks of the same run.
_PR_SET_PDEATHSIG = 1


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
    own: bool = False
    """An empty environment with pip for one task alone, which installs into it what it wants."""


class NotMadeError(Exception):
    """An environment could not be made."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


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
            except BaseException as error:
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


def satisfied(spec: Spec, python: str) -> bool:
    """Whether the environment of a Python holds all of it already. Nothing is changed, and no network is used."""
    words = ["--check", "--offline", "--python", python]
    return bool(spec.uv) and all(_uv(spec, each, words) == 0 for each in spec.installs)


def redacted(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return _PASSWORD.sub("://***@", text)


def _make(spec: Spec, lock: int) -> None:
    folder = Path(spec.folder)
    if spec.own:
        words = [spec.python, "-m", "venv", "--clear", str(folder)]
        if _run(words, _outer(), folder.parent, lock, shown=True) != 0:
            raise NotMadeError("an environment of its own cannot be made: `python -m venv` failed")
        return
    if not spec.uv:
        raise NotMadeError(
            f"{spec.told} must be installed first, and uv is not there", "pip install 'orchestrator[kfp]'"
        )
    total = len(spec.installs)
    print(f"::progress 0/{total} installing {spec.told}", flush=True)
    words = [spec.uv, "venv", "--quiet", "--no-project", "--python", spec.python, str(folder)]
    if _run(words, _outer(), folder.parent, lock, shown=True) != 0:
        raise NotMadeError(f"no environment can be made in {folder.parent}: uv failed, its lines are above")
    for done, install in enumerate(spec.installs, 1):
        if _uv(spec, install, ["--python", str(folder / "bin" / "python")], lock, shown=True) != 0:
            packages = redacted(", ".join(install["packages"]))
            raise NotMadeError(f"{packages} cannot be installed: uv failed, its lines are above")
        print(f"::progress {done}/{total} installed {redacted(', '.join(install['packages']))}", flush=True)
    stamp = {"told": spec.told, "python": ".".join(map(str, sys.version_info[:3])), "made": time.time()}
    _write(folder / STAMP, stamp)


def _uv(spec: Spec, install: Mapping[str, Any], words: Sequence[str], lock: int = -1, *, shown: bool = False) -> int:
    """Run `uv pip install`; the addresses go through the environment, so that no list of processes shows them."""
    if not install["packages"]:
        return 0
    # As pip has it: the best version of all indexes.
    environment = {**_outer(), "UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "UV_CACHE_DIR" not in environment and not is_writable(_cache(environment)):
        environment["UV_CACHE_DIR"] = str(Path(spec.folder).parent / "uv")
    for name, values in (
        ("UV_DEFAULT_INDEX", [install["index"]]),
        ("UV_EXTRA_INDEX_URL", install["indexes"]),
        ("UV_INSECURE_HOST", [_host(each) for each in install["trusted"]]),
    ):
        if any(values):
            environment[name] = " ".join(values)
    if install["links"]:
        environment["UV_FIND_LINKS"] = ",".join(install["links"])
    options = [*(["--no-deps"] if install["bare"] else []), *(["--prerelease=allow"] if install["pre"] else [])]
    line = [spec.uv, "pip", "install", *options, *words, "--requirements", "-"]
    given = "\n".join(install["packages"]) + "\n"
    folder = Path(spec.folder).parent
    return _run(line, environment, folder, lock, given=given, shown=shown)


def _run(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, lock: int, *, given: str = "", shown: bool
) -> int:
    """Run a program that dies with this one, and holds the lock for as long as it lives; say what it says."""
    with subprocess.Popen(
        list(words),
        cwd=folder,  # Not in the project, whose own settings for uv are not meant for this.
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[lock] if lock >= 0 else [],
        preexec_fn=_die_with_parent,  # noqa: PLW1509  There are no threads here.
    ) as program:
        if program.stdin:
            with contextlib.suppress(BrokenPipeError):
                program.stdin.write(given.encode())
                program.stdin.close()
        for line in program.stdout or ():
            if shown:
                print(redacted(line.decode("utf-8", "replace")), end="", flush=True)
    return program.returncode


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _outer() -> dict[str, str]:
    """The environment of uv: what pip was told about indexes and certificates, and nothing of the caller's Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON")
        and not name.startswith(("UV_PROJECT", "UV_TARGET", "UV_PREFIX"))
    }
    for ours, theirs in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
        ("UV_NO_INDEX", "PIP_NO_INDEX"),
        ("UV_CONSTRAINT", "PIP_CONSTRAINT"),
        ("SSL_CERT_FILE", "PIP_CERT"),
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    ):
        if kept.get(theirs) and not kept.get(ours) and not (ours == "UV_DEFAULT_INDEX" and kept.get("UV_INDEX_URL")):
            kept[ours] = kept[theirs]
    if kept.get("PIP_FIND_LINKS") and not kept.get("UV_FIND_LINKS"):
        kept["UV_FIND_LINKS"] = kept["PIP_FIND_LINKS"].replace(" ", ",")
    if kept.get("PIP_TRUSTED_HOST") and not kept.get("UV_INSECURE_HOST"):
        kept["UV_INSECURE_HOST"] = " ".join(_host(each) for each in kept["PIP_TRUSTED_HOST"].split())
    return {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def _cache(environment: Mapping[str, str]) -> Path:
    """Where uv keeps what it has fetched."""
    return Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/", ".cache"), "uv")


def is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made where the nearest one above it is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _host(address: str) -> str:
    """The host of what pip was told to trust: the SDK writes whole addresses."""
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2] if "://" in address else address


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the lock of an environment; who else wants to make it waits."""
    file = folder.with_name(folder.name + ".lock")
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another task, which makes the environment this one needs", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


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
            raise NotMadeError(str(told["reason"]).replace(", its lines are above", " a moment ago"), str(told["hint"]))


def _write(file: Path, data: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(data), encoding="utf-8")
    partial.replace(file)
