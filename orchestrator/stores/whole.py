"""A text file written whole or not at all: who reads it meanwhile sees what it said before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from orchestrator.errors import BackendError


def write(path: Path, text: str) -> None:
    """Write `path`, whose folder is there. Raises BackendError, and leaves what was there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BackendError("file", f"{path} cannot be written: {error.strerror}") from error
