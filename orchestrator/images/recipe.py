"""What an image is made of, as a value: the folder it is built in, and the key that content has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator import digest
from orchestrator.errors import BackendError, Location, PipelineError, Problem
from orchestrator.images import code
from orchestrator.images.wanted import COMPONENT, MLFLOW, SERVER, Wanted

FILES = Path(__file__).parent / "files"
DOCKERFILE = "Dockerfile"
_LETTERS = 16
_SCRIPTS = (DOCKERFILE, "with.sh", "prepare.py", "uv.txt")
_LOCKS = {COMPONENT: "components.lock.txt", SERVER: "components.lock.txt", MLFLOW: "mlflow.lock.txt"}
_REQUIREMENTS = "requirements.txt"
_NEEDED = ("pydantic>=2.12,<3", "pyyaml>=6.0.2,<7")
"""What the parts of ours need that every component may import."""
_ELSEWHERE = re.compile(r"-(r|c|e|-requirement|-constraint|-editable)\b|\.{0,2}/|file:|.*@\s*(file:|\.{0,2}/)")
_DEFAULT = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is the same for all images that are built together."""

    base: str
    platform: str = ""
    """The platform they are built for; "" for the one they are built on."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to be built."""

    wanted: Wanted
    choices: Choices
    texts: Mapping[str, str]
    """Files of the folder that are made for it, by path."""
    copies: Mapping[str, Path]
    """Files that are copied into the folder, by path."""
    packages: tuple[str, ...] = ()
    """What was asked for beyond the requirements of its components."""
    key: str = ""
    """The digest of all that decides what is in the image: equal keys, equal images."""

    @property
    def name(self) -> str:
        """What components call it."""
        return self.wanted.name


def keyed(recipe: Recipe) -> Recipe:
    """A recipe with the key that its files have now. Raises BackendError for one that cannot be read."""
    kind, choices = recipe.wanted.kind, recipe.choices
    total = hashlib.sha256(f"{kind}\n{choices.base}\n{choices.platform}\n".encode())
    found = {path: digest.of_text(text) for path, text in recipe.texts.items()}
    try:
        found |= {path: digest.of_file(file) for path, file in recipe.copies.items()}
    except OSError as error:
        raise BackendError("file", f"{error.filename}: {error.strerror}") from error
    for path in sorted(found):
        total.update(f"{path}\0{found[path]}\n".encode())
    return replace(recipe, key=total.hexdigest()[:_LETTERS])


def default_base() -> str:
    """The image that all others begin from when nobody says another."""
    found = _DEFAULT.search((FILES / DOCKERFILE).read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("the Dockerfile names no base")
    return found[1]


def make(wanted: Wanted, choices: Choices, packages: Sequence[str] = ()) -> Recipe:
    """The recipe of an image. Raises PipelineError for requirements and code that cannot be part of one."""
    copies = {name: FILES / name for name in _SCRIPTS}
    copies["locked.txt"] = FILES / _LOCKS[wanted.kind]
    if wanted.kind != MLFLOW:
        copies |= {f"code/{path}": file for path, file in code.files(wanted.programs).items()}
    listed = sorted({*_asked(wanted), *packages})
    texts = {_REQUIREMENTS: "".join(f"{each}\n" for each in listed), "code/README": f"The code of {wanted.name}.\n"}
    return keyed(Recipe(wanted, choices, texts, copies, tuple(sorted(set(packages)))))


def _asked(wanted: Wanted) -> list[str]:
    """Everything that the requirements of an image's programs ask for."""
    if wanted.kind != COMPONENT:
        return requirements(FILES / f"{wanted.kind}.txt")
    found = list(_NEEDED)
    for each in wanted.programs:
        file = each.folder / _REQUIREMENTS
        if file.is_file():
            found += requirements(file)
    return found


def requirements(file: Path) -> list[str]:
    """The lines of a requirements file, hashes with their package. Raises PipelineError for one that names files."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError([Problem(Location(str(file)), f"cannot be read: {error}")]) from error
    lines, problems = [], []
    number = 1
    for written in text.replace("\\\n", "\0").splitlines():
        line = " ".join(re.sub(r"(^|\s)#.*", "", written).replace("\0", " ").split())
        if _ELSEWHERE.match(line):
            what = f"{line.split()[0]!r} names what is not in the image"
            problems.append(Problem(Location(str(file), number, 1), what, "list the packages in this one file"))
        if line:
            lines.append(line)
        number += written.count("\0") + 1
    if problems:
        raise PipelineError(problems)
    return lines
