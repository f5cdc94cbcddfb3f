"""A tar that somebody sent, unpacked below one folder: plain files alone, and no more of them than are allowed.

Nothing is written outside that folder and nothing is read from outside the archive, whatever names and links it has.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from orchestrator.errors import OrchestratorError

LARGEST = 20 * 1024**3
MOST = 50_000
_CHUNK = 1024 * 1024


def unpack(archive: Path, folder: Path, *, largest: int = LARGEST, most: int = MOST) -> None:
    """The files of a tar, compressed or not, below `folder`. Raises OrchestratorError for what is not to be trusted."""
    try:
        with tarfile.open(archive) as tar:
            left, files = largest, 0
            for member in tar:
                name = _name(archive, member.name)
                if member.isdir() or is_litter(name):
                    continue
                files += 1
                if files > most:
                    raise OrchestratorError(f"{archive.name} has more than {most:,} files")
                left -= _copied(tar, member, archive, folder / name, left)
                if left < 0:
                    raise OrchestratorError(f"{archive.name} unpacks to more than {largest:,} bytes")
    except FileNotFoundError as error:
        raise OrchestratorError(f"there is no file {archive}") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        hint = "it takes .tar, .tar.gz, .tar.bz2 and .tar.xz"
        raise OrchestratorError(f"{archive.name} cannot be unpacked: {error}", hint=hint) from error


def is_litter(name: PurePosixPath) -> bool:
    """Whether a file is none of the model's: Python's cache, or hidden, as notes of a system and secrets (.env) are."""
    return any(part == "__pycache__" or part.startswith(".") for part in name.parts)


def _name(archive: Path, said: str) -> PurePosixPath:
    name = PurePosixPath(said)
    if name.is_absolute() or ".." in name.parts or "\\" in said or "\0" in said:
        raise OrchestratorError(f"{archive.name} has a file {said!r}, which lies outside of it")
    return name


def _copied(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, target: Path, left: int) -> int:
    """Write one file, and return its size; one byte more than is left ends it."""
    source = _opened(tar, member, archive)
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        with source, target.open("xb") as out:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > left:
                    return size
                out.write(chunk)
    except FileExistsError as error:
        raise OrchestratorError(f"{archive.name} has the file {member.name!r} twice") from error
    return size


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> IO[bytes]:
    """The bytes of a file; those of a link are the file's of this archive that it names, or it is refused."""
    try:
        source = tar.extractfile(member)
    except (KeyError, RecursionError):
        source = None
    if source is None:
        what = f"a link to {member.linkname!r}" if member.linkname else "neither a file nor a folder"
        raise OrchestratorError(
            f"{archive.name}: {member.name!r} is {what}, and only files of the archive itself are taken"
        )
    return source
