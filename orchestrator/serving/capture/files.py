"""Where captured lines go: files of this machine, which grow, or objects by URI, which are written once."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from orchestrator.serving.exchange import Exchange
from orchestrator.stores import artifacts, objects, uploads

SUFFIX = ".jsonl"
DISK_FULL = 0.75
"""The share of its disk at which capture stops, so that what else is there still finds room."""
_FILE_BYTES = 64 * 1024 * 1024
_LOOK_SECONDS = 10.0


class FullError(Exception):
    """There is no room for more, as the message says."""


class Files(Protocol):
    """A place for captured lines."""

    gather_seconds: float
    """How long lines are gathered before they are written."""
    gather_bytes: int
    """How many bytes of them are written at once without waiting longer."""

    def write(self, folder: str, lines: Sequence[bytes]) -> None:
        """Write lines to a folder below the place. Raises FullError, OSError or OrchestratorError."""
        ...


def of(exchange: Exchange) -> str:
    """The folder of an exchange: endpoint, variant, and the hour it began in, UTC."""
    return f"{exchange.endpoint}/{exchange.variant}/{_hour(int(exchange.began) // 3600)}"


def at(place: str, endpoint: str, disk: int, state: Path) -> Files:
    """The place that an endpoint file names. A relative path is one below the state folder."""
    if artifacts.is_remote(place):
        return Objects(place)
    return Local(state / artifacts.local_path(place), endpoint, disk)


class Local:
    """Files below a folder of this machine; together those of one endpoint take no more than so many bytes."""

    def __init__(self, root: Path, endpoint: str, disk: int, disk_full: float = DISK_FULL) -> None:
        self.gather_seconds = 0.5
        self.gather_bytes = 1024 * 1024
        self._root = root
        self._endpoint = endpoint
        self._disk = disk
        self._disk_full = disk_full
        self._current: dict[str, Path] = {}
        self._taken = 0
        self._looked = -_LOOK_SECONDS

    def write(self, folder: str, lines: Sequence[bytes]) -> None:
        content = b"".join(lines)
        self._make_sure_of_room(len(content))
        path = self._file(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, content)
        self._taken += len(content)

    def _make_sure_of_room(self, size: int) -> None:
        # Other worker processes write there as well, and people take files away: so it is counted now and then.
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._taken = _size(self._root / self._endpoint)
            self._looked = time.monotonic()
        if self._taken + size > self._disk:
            raise FullError(f"its files take {self._taken:,} of the {self._disk:,} bytes it may have")
        above = next(each for each in (self._root, *self._root.parents) if each.exists())
        usage = shutil.disk_usage(above)
        taken = usage.used / (usage.used + usage.free)
        if taken >= self._disk_full:
            raise FullError(f"the disk of {self._root} is {taken:.0%} full, and the last quarter is not for capture")

    def _file(self, folder: str) -> Path:
        """The file of a variant that grows now: a new one each hour, and whenever one is large."""
        current = self._current.get(folder)
        if current is not None:
            with contextlib.suppress(FileNotFoundError):
                if current.stat().st_size < _FILE_BYTES:
                    return current
        # Of the hour before there are still lines for a while: of requests that took long, or of another variant.
        recent = sorted({_hour_of(each) for each in (*self._current, folder)})[-2:]
        path = self._root / folder / _name()
        self._current = {each: file for each, file in self._current.items() if _hour_of(each) in recent}
        self._current[folder] = path
        return path


class Objects:
    """Objects by URI: each is written once, whole."""

    def __init__(self, root: str, gather_seconds: float = 60.0) -> None:
        self.gather_seconds = gather_seconds
        self.gather_bytes = 8 * 1024 * 1024
        self._root = root.rstrip("/")
        # The client of a cloud takes seconds to be imported, which a server that ends does not have. What is wrong with
        # the place is said when something is to be written.
        with contextlib.suppress(Exception):
            uploads.system_of(root)

    def write(self, folder: str, lines: Sequence[bytes]) -> None:
        objects.put(f"{self._root}/{folder}/{_name()}", b"".join(lines))


@lru_cache(4)
def _hour(since_1970: int) -> str:
    return f"{datetime.fromtimestamp(since_1970 * 3600, UTC):%Y/%m/%d/%H}"


def _hour_of(folder: str) -> str:
    return "/".join(folder.split("/")[-4:])


def _name() -> str:
    """Minute and second say when the file began; the rest, that no other process writes it."""
    return f"{datetime.now(UTC):%M-%S}-{secrets.token_hex(6)}{SUFFIX}"


def _append(path: Path, content: bytes) -> None:
    """Add whole lines to a file, or nothing."""
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            written = 0
            while written < len(content):
                written += file.write(memoryview(content)[written:])
        except BaseException:  # Whatever it is, half a line would spoil the file for its readers.
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise


def _size(folder: Path) -> int:
    """Bytes in all capture files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(SUFFIX):
                with contextlib.suppress(OSError):  # Taken away meanwhile.
                    total += Path(place, name).stat().st_size
    return total
