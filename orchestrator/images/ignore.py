"""What never goes into an image: what `.dockerignore` files name, secrets, and what programs leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.errors import Location, PipelineError, Problem

FILE = ".dockerignore"
ALWAYS = (
    *("**/.git", "**/.hg", "**/.svn", "**/.DS_Store", "**/.idea", "**/.vscode"),
    *("**/.venv*", "**/venv", "**/.orc*", "**/node_modules", "**/*.egg-info"),
    *("**/__pycache__", "**/*.py[co]", "**/.*_cache", "**/.ipynb_checkpoints", "**/.hypothesis", "**/.coverage*"),
    *("**/.env", "**/.env.*", "**/secrets.yaml", "**/secrets.yml", "**/.netrc", "**/.pypirc", "**/pip.conf"),
    *("**/.ssh", "**/.aws", "**/.docker", "**/.kube", "**/id_rsa*", "**/id_ed25519*", "**/*.lock.yaml"),
    *(f"**/{FILE}",),
)
"""Patterns that count everywhere. Nothing can bring back what they name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a `.dockerignore`: what it names, below which folder, and whether it brings that back."""

    folder: PurePosixPath
    pattern: re.Pattern[str]
    back: bool = False

    def matches(self, path: PurePosixPath) -> bool:
        """Whether it names a path, or a folder above it."""
        if self.folder != PurePosixPath() and self.folder not in path.parents:
            return False
        return self.pattern.fullmatch(str(path.relative_to(self.folder))) is not None


def rules(root: Path, folder: Path) -> tuple[Rule, ...]:
    """The rules of the `.dockerignore` files from a root down to a folder in it. Raises PipelineError."""
    found: list[Rule] = []
    chain = [folder, *(each for each in folder.parents if each == root or root in each.parents)]
    for each in reversed(chain):
        try:
            lines = (each / FILE).read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineError([Problem(Location(str(each / FILE)), f"cannot be read: {error}")]) from error
        found += _rules(lines, PurePosixPath(each.relative_to(root).as_posix()))
    return tuple(found)


def is_ignored(path: PurePosixPath, listed: Sequence[Rule]) -> bool:
    """Whether a path, below the root of the rules, stays outside. The last rule that names it decides, as in Docker."""
    if _ALWAYS.fullmatch(str(path)):
        return True
    ignored = False
    for rule in listed:
        if rule.back is ignored and rule.matches(path):
            ignored = not rule.back
    return ignored


def _rules(lines: Sequence[str], folder: PurePosixPath) -> Iterator[Rule]:
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        back = text.startswith("!")
        parts = [part for part in text.removeprefix("!").strip().split("/") if part not in ("", ".")]
        if parts:
            yield Rule(folder, _pattern("/".join(parts)), back)


def _pattern(text: str) -> re.Pattern[str]:
    """What a pattern of Docker's names, with all that lies below it."""
    return re.compile(f"{_expression(text)}(?:/.*)?")


def _expression(text: str) -> str:
    """A pattern of Docker's: `*` and `?` stay within a name, `**` goes through any number of folders."""
    written, at = "", 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("**/"):
            written, at = written + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            written, at = written + ".*", at + 2
        elif (found := re.match(r"\[(\^?)([^\]]+)\]", rest)) is not None:
            listed = found[2].replace("\\", "\\\\")
            written, at = written + f"[{found[1]}{listed}]", at + len(found[0])
        else:
            known = {"*": "[^/]*", "?": "[^/]"}
            written, at = written + known.get(rest[0], re.escape(rest[0])), at + 1
    return written


NOTHING: tuple[Rule, ...] = ()
_ALWAYS = re.compile(f"(?:{'|'.join(map(_expression, ALWAYS))})(?:/.*)?")
