"""Where environments are kept: a folder each, named by the digest of everything that decides what is in it."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator import digest
from orchestrator.environments import making, requirements
from orchestrator.environments.requirements import Install
from orchestrator.errors import BackendError, NotFoundError, OrchestratorError

_FORMAT = 1  # Raise it when environments are made in another way: old ones are then not used.
PROGRAM = Path(__file__).with_name("__main__.py")


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment, made or not."""

    folder: Path
    installs: tuple[Install, ...]

    @property
    def python(self) -> str:
        """Its Python."""
        return str(self.folder / "bin" / "python")

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return self.folder / "bin"

    @property
    def is_ready(self) -> bool:
        """Whether it is complete. One that is half made never is."""
        return making.is_ready(self.folder)

    def spec(self, *, by: str = "") -> making.Spec:
        """What it takes to make it; `by` tells attempts of one run from those of another."""
        return making.Spec(
            folder=str(self.folder),
            python=_base(),
            uv=_uv(),
            installs=[{**each.to_data(), "told": requirements.told([each])} for each in self.installs],
            told=requirements.told(self.installs),
            by=by,
        )

    def make(self) -> None:
        """Make it, unless it is there. Raises BackendError."""
        try:
            making.ensure(self.spec())
        except making.NotMadeError as error:
            raise BackendError("uv", error.reason, hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class Kept:
    """An environment that is there."""

    name: str
    folder: Path
    told: str
    """What was installed."""
    python: str
    made: datetime
    complete: bool


def find(root: Path, installs: Sequence[Install]) -> Environment:
    """The environment for what is to be installed, below the folder of all of them."""
    return Environment(root / _digest(tuple(installs)), tuple(installs))


def kept(root: Path) -> Iterator[Kept]:
    """The environments that are there, half-made ones too, oldest first."""
    try:
        folders = [each for each in root.iterdir() if making.NAME.fullmatch(each.name) and each.is_dir()]
    except OSError:
        return
    for folder in sorted(folders, key=lambda each: each.stat().st_mtime):
        made = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        try:
            told = json.loads((folder / making.STAMP).read_text(encoding="utf-8"))
            yield Kept(folder.name, folder, str(told["told"]), str(told["python"]), made, making.is_ready(folder))
        except (OSError, ValueError, KeyError, TypeError):
            yield Kept(folder.name, folder, "", "", made, complete=False)


def named(root: Path, name: str) -> Kept:
    """The environment whose name begins so. Raises NotFoundError."""
    found = [each for each in kept(root) if name and each.name.startswith(name)]
    if not found:
        raise NotFoundError("environment", name, hint=f"`orc environments` lists those in {root}")
    if len(found) > 1:
        raise OrchestratorError(f"{len(found)} environments begin with {name!r}", hint="give more of the name")
    return found[0]


def remove(each: Kept) -> None:
    """Remove an environment. Raises BackendError."""
    try:
        making.remove(each.folder)
    except OSError as error:
        raise BackendError("environments", f"{each.folder} cannot be removed: {error}") from error


def link(root: Path) -> Path:
    """A folder in which `orchestrator` is all that can be imported, for environments that do not have it."""
    package = Path(__file__).resolve().parent.parent
    return root / "links" / digest.of_text(str(package))[:16]


def make_link(root: Path) -> None:
    """Make that folder. Raises OSError."""
    package = Path(__file__).resolve().parent.parent
    target = link(root) / package.name
    if target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # Another process was first.
        target.symlink_to(package)


@functools.lru_cache(maxsize=1024)
def _digest(installs: tuple[Install, ...]) -> str:
    # Without passwords: one that changes does not change what is installed.
    parts = [_FORMAT, [each.to_data() for each in installs], _identity()]
    return digest.of_text(requirements.redacted(json.dumps(parts, sort_keys=True)))[:32]


@functools.cache
def _identity() -> list[str]:
    """What tells this Python from others: packages for one are not packages for another."""
    libc = "-".join(platform.libc_ver()) if sys.platform.startswith("linux") else platform.mac_ver()[0]
    return [sys.implementation.cache_tag or "", platform.python_version(), sysconfig.get_platform(), libc, _base()]


@functools.cache
def _base() -> str:
    """The Python this one is made from: every virtual environment of it can share."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


@functools.cache
def _uv() -> str:
    """The program uv: that of the package, else the one on the path; "" without either."""
    import shutil

    try:
        import uv

        return str(uv.find_uv_bin())
    except (ImportError, OSError):
        return shutil.which("uv") or ""
