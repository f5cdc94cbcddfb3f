"""Something that changes when a file does: what reads it looks whether it has to be read again."""

from __future__ import annotations

from pathlib import Path

Mark = tuple[int, int, int]


def of(file: Path) -> Mark | None:
    """The mark of a file, None without one; a link that leads elsewhere, as Kubernetes does it, is a change, too."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
