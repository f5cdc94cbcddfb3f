"""Single files by URI, wherever they lie: written whole or not at all, and fetched no further than a limit."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from orchestrator.errors import BackendError
from orchestrator.stores import artifacts, uploads

_CHUNK = 1024 * 1024
_WEB = ("http", "https")


class TooLargeError(BackendError):
    """What was to be fetched is larger than the limit."""


class TooSlowError(BackendError):
    """What was to be fetched did not arrive in time."""


def shown(uri: str) -> str:
    """A URI without what it may hold of a password or a signature."""
    parts = urlsplit(uri)
    if not parts.scheme:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def put(uri: str, content: bytes | Path) -> None:
    """Write a file at a URI or a path, in place of one that is there. Raises BackendError."""
    if not artifacts.is_remote(uri):
        _put_here(artifacts.local_path(uri), content)
        return
    with uploads.telling(shown(uri)):
        system, place = uploads.system_of(uri)
        protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
        if protocol in uploads.WHOLE:
            _send(system, place, content)
            return
        system.makedirs(place.rpartition("/")[0], exist_ok=True)
        partial = f"{place}.{secrets.token_hex(4)}"
        try:
            _send(system, partial, content)
            system.mv(partial, place)
        except BaseException:
            with contextlib.suppress(Exception):
                system.rm(partial)
            raise


def fetch(uri: str, target: Path, *, limit: int, seconds: float) -> int:
    """Copy what lies at a URI or a path into a file of ours; its size. Raises BackendError.

    An address of the web is not left for another one: who may name it has not named the other.
    """
    deadline = time.monotonic() + seconds
    with uploads.telling(shown(uri), "read"), _opened(uri, seconds) as stream, target.open("wb") as file:
        size = 0
        while piece := stream.read(_CHUNK):
            size += len(piece)
            if size > limit:
                raise TooLargeError("file storage", f"{shown(uri)} is larger than {limit:,} bytes")
            if time.monotonic() > deadline:
                raise TooSlowError("file storage", f"{shown(uri)} did not arrive within {seconds:g} s")
            file.write(piece)
    return size


def _put_here(path: Path, content: bytes | Path) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file, _CHUNK)
            else:
                file.write(content)
            file.flush()
            # What is told of as written must be there after a power cut, too.
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise BackendError("file storage", f"cannot write {path}: {error.strerror or error}") from error


def _send(system: Any, place: str, content: bytes | Path) -> None:
    if isinstance(content, Path):
        system.put_file(str(content), place)
    else:
        system.pipe_file(place, content)


def _opened(uri: str, seconds: float) -> contextlib.AbstractContextManager[IO[bytes]]:
    if urlsplit(uri).scheme in _WEB:
        from orchestrator.stores import web  # The client of the web takes longer to import than all else here.

        return web.opened(uri, seconds)
    if not artifacts.is_remote(uri):
        return artifacts.local_path(uri).open("rb")
    system, place = uploads.system_of(uri)
    return system.open(place, "rb")  # type: ignore[no-any-return]
