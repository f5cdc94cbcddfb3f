"""From what a task calls its component to the file that defines it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orchestrator
from orchestrator.errors import did_you_mean

BUILT_IN = Path(orchestrator.__file__).parent.parent / "components"
_FILE = "component.yaml"


def file(name: str, folder: Path, extra: Sequence[Path] = ()) -> Path:
    """The file of a component: by path, or by name in the first component folder that has it.

    Raises ValueError (message, hint).
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = folder / name
        path = path / _FILE if path.is_dir() else path
        if not path.is_file():
            raise ValueError(
                f"the component file {name!r} does not exist", "a relative path begins at this file's folder"
            )
        return path
    places = list(places_of(folder, extra))
    for place in places:
        for spelled in dict.fromkeys((name, name.replace("-", "_"), name.replace("_", "-"))):
            path = place / spelled / _FILE
            if path.is_file():
                return path
    known = [each.parent.name for place in places if place.is_dir() for each in place.glob(f"*/{_FILE}")]
    raise ValueError(f"no component is named {name!r}", did_you_mean(name, known))


def places_of(folder: Path, extra: Sequence[Path] = ()) -> Iterator[Path]:
    """Where components are looked for: folders given, `components/` here and above, then those we ship."""
    yield from extra
    here = Path.cwd().resolve()
    for each in (folder.resolve(), *folder.resolve().parents):
        yield each / "components"
        # The project ends at the working folder, or where its root is marked.
        if each == here or any((each / mark).exists() for mark in (".git", "pyproject.toml")):
            break
    yield BUILT_IN


def code(path: Path) -> Path:
    """The folder Python imports a component from: as `components.train`, or as `train` below any other folder."""
    container = path.resolve().parent.parent
    return container.parent if container.name == "components" else container
