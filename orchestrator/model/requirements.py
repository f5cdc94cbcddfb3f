"""What a program says it needs, in a requirements.txt, and what of that this environment does not have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "requirements.txt"
_COMMENT = re.compile(r"(^|\s)#.*$")
# Options of pip that say where from or how, not what.
_OPTIONS = re.compile(
    r"(-i|-f|--(index-url|extra-index-url|find-links|no-index|pre|prefer-binary|trusted-host|only-binary|no-binary"
    r"|use-feature|require-hashes))\b"
)

# The version of a distribution that is installed, or None.
Installed = Callable[[str], str | None]


def read(file: Path) -> tuple[str, ...]:
    """The requirements of a file and of those it includes, one text each. Raises OrchestratorError."""
    return tuple(_lines(file, file.parent.resolve(), ()))


def unmet(requirements: Sequence[str], installed: Installed | None = None) -> list[str]:
    """A sentence for each requirement that this environment does not meet."""
    asked = installed or _installed
    return [said for text in requirements if (said := _said(text, asked))]


def versions(requirements: Sequence[str]) -> Mapping[str, str]:
    """The installed version of each requirement, by its name as it is written."""
    names = [requirement.name for text in requirements if (requirement := _parsed(text))]
    return {name: version for name in names if (version := _installed(name))}


def _lines(file: Path, root: Path, seen: tuple[Path, ...]) -> Iterator[str]:
    if not file.resolve().is_relative_to(root) or file.resolve() in seen:
        raise OrchestratorError(f"{file.name} is included from outside of the model, or by itself")
    try:
        text = file.read_text(encoding="utf-8-sig").replace("\\\n", " ")
    except (OSError, UnicodeDecodeError) as error:
        raise OrchestratorError(f"{file.name} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        said = _COMMENT.sub("", line).strip()
        if not said or _OPTIONS.match(said):
            continue
        option, _, included = said.partition(" ")
        if option in ("-r", "--requirement", "-c", "--constraint"):
            if option in ("-r", "--requirement"):
                yield from _lines(file.parent / included.strip(), root, (*seen, file.resolve()))
            continue
        said = said.partition(" --hash")[0].strip()
        if _parsed(said) is None:
            hint = "write NAME, NAME>=1.2, or NAME @ URL: what has no name cannot be looked for"
            raise OrchestratorError(f"{file.name}:{number}: {said!r} is not a requirement", hint=hint)
        yield said


def _parsed(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _said(text: str, installed: Installed) -> str:
    requirement = _parsed(text)
    if requirement is None:
        return f"{text!r} is not a requirement"
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    found = installed(requirement.name)
    if found is None:
        return f"{text} is not installed"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{text} is wanted, and {requirement.name} {found} is installed"
    missing = [
        said for extra in requirement.extras for each in _extra(requirement.name, extra, installed) if (said := each)
    ]
    return missing[0] if missing else _unimportable(requirement.name) if installed is _installed else ""


def _extra(name: str, extra: str, installed: Installed) -> Iterator[str]:
    """What an extra of an installed distribution asks for and does not find."""
    for text in metadata.requires(name) or () if _installed(name) else ():
        wanted = _parsed(text)
        if wanted is None or wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            continue
        if wanted.marker.evaluate({"extra": extra}) and installed(wanted.name) is None:
            yield f"{name}[{extra}] needs {wanted.name}, which is not installed"


def _unimportable(name: str) -> str:
    """A distribution may be recorded as installed although its modules were removed."""
    files = metadata.distribution(name).files or ()
    tops = {each.parts[0] for each in files if len(each.parts) == 2 and each.name == "__init__.py"}
    gone = [top for top in sorted(tops) if top.isidentifier() and util.find_spec(top) is None]
    return f"{name} is installed, but its module {gone[0]} cannot be found" if gone else ""


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
