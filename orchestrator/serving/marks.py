"""Something that changes when a file does: what reads it looks whether it has to be read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Mark = tuple[int, int, int]


def of(file: Path) -> Mark | None:
    """The mark of a file, None without one; a link that leads elsewhere, as Kubernetes does it, is a change, too."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def inside(folder: Path) -> Mapping[str, Mark]:
    """The marks of the JSON files in a folder, by their names; without the folder there are none."""
    found: dict[str, Mark] = {}
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return found
    for name in names:
        # One may be removed after it was listed.
        if name.endswith(".json") and not name.startswith(".") and (mark := of(folder / name)) is not None:
            found[name.removesuffix(".json")] = mark
    return found
