"""What a program needs installed: the `pip install` lines it asks for, in their order."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError

_PASSWORD = re.compile(r"://[^/\s@'\"]+@")
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)", re.DOTALL)
_URL = re.compile(r"[a-z+]+://|^\.{0,2}/")
_OLDER = re.compile(r""";\s*python_version\s*<\s*["']3\.(\d+)["']\s*$""")
_WITH_VALUE = {
    "--index-url": "index",
    "-i": "index",
    "--extra-index-url": "indexes",
    "--trusted-host": "trusted",
    "--find-links": "links",
    "-f": "links",
}
_ALONE = {"--no-deps": "bare", "--pre": "pre"}
# They change how pip goes about it, and not what is there in the end.
_IGNORED = frozenset(
    (
        "-q",
        "--quiet",
        "-U",
        "--upgrade",
        "--user",
        "--no-cache-dir",
        "--no-warn-script-location",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--break-system-packages",
        "--no-input",
    )
)


@dataclass(frozen=True, slots=True)
class Install:
    """One `pip install`."""

    packages: tuple[str, ...]
    bare: bool = False
    """Without what the packages themselves need."""
    pre: bool = False
    """With versions before a release."""
    index: str = ""
    indexes: tuple[str, ...] = ()
    """More indexes to look in."""
    trusted: tuple[str, ...] = ()
    """Hosts whose certificates are not checked."""
    links: tuple[str, ...] = ()
    """Folders and pages that list packages."""

    def to_data(self) -> dict[str, Any]:
        """As plain data."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def parse(words: Sequence[str]) -> Install | None:
    """The words after `pip install`; None when one of them is not known."""
    packages: list[str] = []
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            packages.append(word)
        elif option in _WITH_VALUE:
            name = _WITH_VALUE[option]
            value = value if equals else next(rest, "")
            if not value:
                return None
            found[name] = value if name == "index" else (*found.get(name, ()), value)
        elif word in _ALONE:
            found[_ALONE[word]] = True
        elif word not in _IGNORED:
            return None
    return Install(normalised(packages), **found)


def read(file: Path) -> Install:
    """A requirements file. Raises RunError for a line that cannot be part of what an environment is known by."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    packages: list[str] = []
    options: list[str] = []
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        stripped = re.sub(r"(^|\s)#.*", "", line).strip()
        if not stripped:
            continue
        if stripped.startswith("-"):
            words = stripped.replace("=", " ", 1).split() if stripped.startswith("--") else stripped.split()
            if parse(words) is None:
                raise RunError(f"{file}:{number}: {words[0]!r} is not supported; list the packages in this one file")
            options += words
        elif _URL.match(stripped):
            raise RunError(f"{file}:{number}: a package by its place needs its name first, as in `name @ {stripped}`")
        else:
            packages.append(stripped)
    found = parse(options) or Install(())
    return Install(normalised(packages), **{key: value for key, value in _as_given(found).items() if key != "packages"})


def normalised(packages: Sequence[str]) -> tuple[str, ...]:
    """Packages as an environment is known by them: each once, sorted, written in one way."""
    return tuple(sorted({_normalised(each) for each in packages}))


def told(installs: Sequence[Install]) -> str:
    """What is installed, for people; no password is in it."""
    packages = (package for each in installs for package in each.packages if not _is_idle(package))
    return redacted(", ".join(dict.fromkeys(packages)))


def redacted(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return _PASSWORD.sub("://***@", text)


def _is_idle(package: str) -> bool:
    """Whether it is meant for older Pythons only, as one that the SDK always adds."""
    found = _OLDER.search(package)
    return found is not None and int(found[1]) <= sys.version_info.minor


def _as_given(install: Install) -> dict[str, Any]:
    return {each.name: getattr(install, each.name) for each in fields(install)}


def _normalised(package: str) -> str:
    text = package.strip()
    found = None if _URL.search(text.partition(";")[0]) or "@" in text else _NAME.fullmatch(text)
    if found is None:
        return text
    name = re.sub(r"[-_.]+", "-", found[1]).lower()
    extras = ",".join(sorted(each.strip().lower() for each in (found[2] or "[]")[1:-1].split(",") if each.strip()))
    versions, semicolon, marker = found[3].partition(";")
    versions = ",".join(sorted(each.strip() for each in re.sub(r"\s+", "", versions).strip("()").split(",")))
    # A hash after the version is not part of it, and keeps its spaces.
    if "--hash" in found[3]:
        versions = found[3].partition(";")[0].strip()
    return f"{name}{f'[{extras}]' if extras else ''}{versions}{f'; {marker.strip()}' if semicolon else ''}"
