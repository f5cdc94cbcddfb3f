"""Files of any size, by path or URI: found, and read from the beginning to the end without being held whole."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import BackendError, NotFoundError
from orchestrator.stores import artifacts, objects, uploads

_SIGNS = "*?["
_BUFFER = 1024 * 1024
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
    remote = artifacts.is_remote(uri)
    if any(sign in uri for sign in _SIGNS) and (remote or not Path(uri).exists()):
        pattern = uri if remote else str(artifacts.local_path(uri).absolute())
        with uploads.telling(objects.shown(uri), "read"):
            system, place = uploads.system_of(pattern)
            files = [str(each) for each in system.glob(place) if not system.isdir(each)]
        above = place[: min(place.find(sign) for sign in _SIGNS if sign in place)].rpartition("/")[0]
        return _below(above, {each: system.unstrip_protocol(each) if remote else each for each in files}, uri), True
    if remote:
        with uploads.telling(objects.shown(uri), "read"):
            system, place = uploads.system_of(uri)
            if not system.isdir(place):
                return [Found(uri, place.rpartition("/")[2])], False
            files = [str(each) for each in system.find(place)]
        return _below(place, {each: system.unstrip_protocol(each) for each in files}, uri), True
    path = artifacts.local_path(uri)
    if path.is_dir():
        return _below(str(path), {str(each): str(each) for each in path.rglob("*") if each.is_file()}, uri), True
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
    # Files of some systems know only half of what a file of Python's can do.
    with io.BufferedReader(stream, _BUFFER) as file:
        yield file, size


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """The same bytes, unpacked when they are gzipped; the stream can be sought."""
    first = stream.read(len(_GZIP))
    stream.seek(0)
    if first != _GZIP:
        return stream
    packed: Any = gzip.GzipFile(fileobj=stream)
    return packed  # type: ignore[no-any-return]


def _below(root: str, files: Mapping[str, str], uri: str) -> list[Found]:
    """The files by what they are called below a root, but hidden ones."""
    above = root.rstrip("/") + "/"
    named = {path.removeprefix(above): where for path, where in files.items()}
    found = [
        Found(named[name], name) for name in sorted(named) if not any(part.startswith(".") for part in name.split("/"))
    ]
    if not found:
        raise NotFoundError("file", objects.shown(uri))
    return found
