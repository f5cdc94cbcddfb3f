"""The code an image holds: the program, what it imports of the code beside it, and the parts of ours it may need."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orchestrator
from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.images import ignore

PACKAGE = "orchestrator"
BUILTIN = Path(orchestrator.__file__).resolve().parent.parent
"""The folder of `orchestrator` and of the components that come with it."""
_COMPONENTS = "components"
_FILE = "component.yaml"
_UNUSED = ("cli", "images", "templates", "__main__.py")
"""Parts of ours that no program in an image uses; the command line changes most often."""


@dataclass(frozen=True, slots=True)
class Program:
    """A module that an image is to run."""

    module: str
    root: Path
    """The folder it is imported from."""

    @property
    def folder(self) -> Path:
        """Where its files are: the folder of a package, or the one a single file is in."""
        place = self.root.joinpath(*self.module.split("."))
        return place if place.is_dir() else place.parent

    @property
    def is_ours(self) -> bool:
        """Whether it comes with orc."""
        return self.root.resolve() == BUILTIN


def program(words: Sequence[str], roots: Sequence[Path]) -> Program | None:
    """The module that `python -m MODULE ...` runs, if it lies in one of these folders."""
    if not words or not Path(words[0]).name.startswith("python"):
        return None
    rest = list(words[1:])
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        del rest[0]
    if len(rest) < 2 or rest[0] != "-m":
        return None
    for root in roots:
        place = root.joinpath(*rest[1].split("."))
        if place.is_dir() or place.with_suffix(".py").is_file():
            return Program(rest[1], root)
    return None


def files(programs: Sequence[Program]) -> dict[str, Path]:
    """Every file of code, by its path in the image. Raises PipelineError for what cannot be taken."""
    found = dict(ours())
    for each in programs:
        for path, file in _closure(each).items():
            found.setdefault(path, file)
    return dict(sorted(found.items()))


@functools.cache
def ours() -> dict[str, Path]:
    """The files of `orchestrator` itself."""
    package = BUILTIN / PACKAGE
    kept = (each for each in sorted(package.iterdir()) if each.name not in _UNUSED)
    return {path: file for each in kept for path, file in _below(each, BUILTIN, ()).items()}


def _closure(program: Program) -> dict[str, Path]:
    """The program's files, and those of all that it imports from beside it, and that imports in turn."""
    found: dict[str, Path] = {}
    waiting = [(program.root, each) for each in _own(program)]
    while waiting:
        root, unit = waiting.pop()
        rules = ignore.rules(root, unit if unit.is_dir() else unit.parent) if root.resolve() != BUILTIN else ()
        for path, file in _below(unit, root, rules).items():
            if path not in found:
                found[path] = file
                if path.endswith(".py"):
                    waiting += _imported(file, PurePosixPath(path), program.root)
    return found


def _own(program: Program) -> list[Path]:
    """The program itself, whole: a folder with all that lies in it, or a file."""
    place = program.root.joinpath(*program.module.split("."))
    return [place] if place.is_dir() else [place.with_suffix(".py")]


def _imported(file: Path, path: PurePosixPath, root: Path) -> Iterator[tuple[Path, Path]]:
    """The code beside a program that one file of it imports, wherever in the file."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise PipelineError([Problem(Location(str(file), line, 1), f"it is no Python: {error}")]) from error
    for name in _names(tree, path):
        if name[0] == PACKAGE:
            continue
        # Ours lie beside those of the user: both are in the package `components`.
        for place in (root, BUILTIN) if name[0] == _COMPONENTS else (root,):
            found = _units(place, name)
            if found:
                yield from ((place, each) for each in found)
                break


def _names(tree: ast.Module, path: PurePosixPath) -> Iterator[list[str]]:
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            yield from (alias.name.split(".") for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            above = list(path.parts[: len(path.parts) - each.level]) if each.level else []
            base = [*above, *(each.module.split(".") if each.module else [])]
            if base:
                yield base
            yield from ([*base, alias.name] for alias in each.names if alias.name != "*")


def _units(root: Path, name: Sequence[str]) -> list[Path]:
    """The files behind a name that is imported: of another component only the modules named, of all else the package.

    What is shared may load its parts as it likes; a component is not there to be imported, but for a module or two.
    """
    found: list[Path] = []
    place = root
    for part in name:
        place /= part
        if place.is_dir():
            is_package = (place / "__init__.py").is_file()
            if is_package and not (place / _FILE).is_file():
                return [*found, place]
            found += [place / "__init__.py"] if is_package else []
        elif place.with_suffix(".py").is_file():
            return [*found, place.with_suffix(".py")]
        else:
            return found
    is_loose = place.is_dir() and not found and any(place.glob("*.py"))
    return [place] if is_loose else found


def _below(unit: Path, root: Path, rules: Sequence[ignore.Rule]) -> dict[str, Path]:
    """The files of a unit by their path below its root, without what is ignored."""
    if unit.is_file():
        return {unit.relative_to(root).as_posix(): unit}
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(unit):
        here = Path(folder).relative_to(root).as_posix()
        folders[:] = sorted(
            each for each in folders if not ignore.is_ignored(PurePosixPath(here, each), ignore.NOTHING)
        )
        for name in sorted(names):
            path = PurePosixPath(here, name)
            if not ignore.is_ignored(path, rules):
                found[str(path)] = _plain(Path(folder, name), root)
    return found


def _plain(file: Path, root: Path) -> Path:
    """A file as it is; a link only to what lies in the same code, so that nobody's keys come along."""
    if file.is_symlink() and not file.resolve().is_relative_to(root.resolve()):
        problem = Problem(
            Location(str(file)), "it is a link to outside of the code", "copy the file, or name it in .dockerignore"
        )
        raise PipelineError([problem])
    if not file.is_file():
        raise PipelineError([Problem(Location(str(file)), "it is no file", "name it in .dockerignore")])
    return file
