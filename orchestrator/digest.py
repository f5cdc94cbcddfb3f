"""Content digests: SHA-256 of a file, or of a folder's files by name; equal content, equal digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def of(path: Path) -> str:
    """The digest of a file or a folder, in hexadecimal. Times, owners and empty folders do not count."""
    if not path.is_dir():
        return of_file(path)
    return of_folder({file.relative_to(path).as_posix(): of_file(file) for file in files(path)})


def of_folder(parts: Mapping[str, str]) -> str:
    """The digest of a folder whose files have these digests."""
    total = hashlib.sha256(b"folder\n")
    for name in sorted(parts):
        total.update(f"{name}\0{parts[name]}\n".encode())
    return total.hexdigest()


def of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_text(text: str) -> str:
    """The digest of text as UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def files(folder: Path) -> list[Path]:
    """Every file below a folder; a link to a folder is not followed, so that no loop is walked."""
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names]


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in files(path)) if path.is_dir() else path.stat().st_size
