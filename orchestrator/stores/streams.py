"""Files of any size, by path or URI: found, and read from the beginning to the end without being held whole."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import BackendError, NotFoundError
from orchestrator.stores import artifacts, objects, uploads

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a path, a URI or a pattern names, and its name below what was named."""

    uri: str
    name: str


def find(uri: str) -> tuple[list[Found], bool]:
    """The files that a file, a folder or a pattern names, by name; and whether it may name several.

    Raises NotFoundError where there is none, BackendError.
    """
    if any(sign in uri for sign in "*?[") and not Path(uri).exists():
        root = uri[: min(uri.find(sign) for sign in "*?[" if sign in uri)].rpartition("/")[0]
        return _some(uri, root, _matching(uri)), True
    if artifacts.is_remote(uri):
        with uploads.telling(objects.shown(uri), "read"):
            system, place = uploads.system_of(uri)
            if not system.isdir(place):
                return [Found(uri, place.rpartition("/")[2])], False
            listed = [str(system.unstrip_protocol(each)) for each in system.find(place)]
            return _some(uri, str(system.unstrip_protocol(place)), listed), True
    path = artifacts.local_path(uri)
    if path.is_dir():
        return _some(uri, str(path), [str(each) for each in path.rglob("*") if each.is_file()]), True
    return [Found(uri, path.name)], False


@contextmanager
def opened(uri: str) -> Iterator[tuple[IO[bytes], int]]:
    """The bytes at a path or a URI, and how many there are; 0 where nobody says."""
    if not artifacts.is_remote(uri):
        path = artifacts.local_path(uri)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError("file", str(path)) from error
        except OSError as error:
            raise BackendError("file", f"cannot read {path}: {error.strerror or error}") from error
        with file:
            yield file, path.stat().st_size
        return
    with uploads.telling(objects.shown(uri), "read"):
        system, place = uploads.system_of(uri)
        stream, size = system.open(place, "rb"), int(system.info(place).get("size") or 0)
    with stream:
        yield stream, size


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """The same bytes, unpacked when they are gzipped; the stream can be sought."""
    first = stream.read(len(_GZIP))
    stream.seek(0)
    if first != _GZIP:
        return stream
    packed: Any = gzip.GzipFile(fileobj=stream)
    return packed  # type: ignore[no-any-return]


def _matching(pattern: str) -> list[str]:
    with uploads.telling(objects.shown(pattern), "read"):
        system, place = uploads.system_of(pattern)
        remote = artifacts.is_remote(pattern)
        return [str(system.unstrip_protocol(each)) if remote else str(each) for each in system.glob(place)]


def _some(uri: str, root: str, files: list[str]) -> list[Found]:
    base = root.rstrip("/") + "/" if root else ""
    here = base if artifacts.is_remote(uri) or not base else str(Path(base).absolute()) + "/"
    found = []
    for each in sorted(files):
        name = each.removeprefix(base).removeprefix(here)
        if not any(part.startswith(".") for part in name.split("/")):
            found.append(Found(each, name))
    if not found:
        raise NotFoundError("file", objects.shown(uri))
    return found
