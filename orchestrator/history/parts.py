"""Two cache keys compared by what they are made of, and each difference in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WHOLE = {
    "image": "the image",
    "command": "the command line",
    "inputs": "the declaration of the component's inputs",
    "outputs": "the declaration of the component's outputs",
    "orc": "the version of orc",
    "format": "the way orc makes cache keys",
    "component": "the component",
    "key": "the cache key that the pipeline gives",
    "uri": "the place it is imported from",
    "type": "the type it is imported as",
    "metadata": "the metadata it is imported with",
}
_KINDS = ("parameter", "variable", "volume")
_SHOWN = 48  # Letters of a value in a sentence.


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a key that is not what it was; None where there is none."""

    part: str
    was: str | None
    now: str | None

    @property
    def kind(self) -> str:
        """`parameter`, `artifact`, `file`, `variable`, or the part itself."""
        return self.part.partition(" ")[0]

    @property
    def name(self) -> str:
        """What is named after the kind."""
        return self.part.partition(" ")[2]


def changes(was: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    """The parts that differ, those of the task itself first."""
    names = dict.fromkeys([*now, *was])
    found = [Change(name, was.get(name), now.get(name)) for name in names if was.get(name) != now.get(name)]
    order = ("parameter", "artifact", "about", "file", "image", "command", "variable", "volume")
    return tuple(sorted(found, key=lambda each: order.index(each.kind) if each.kind in order else len(order)))


def sentences(found: tuple[Change, ...], causes: Mapping[str, str]) -> Iterator[str]:
    """The changes in words; `causes` says of an input artifact why it is another one."""
    by_kind: dict[str, list[Change]] = {}
    for change in found:
        by_kind.setdefault(change.kind, []).append(change)
    changed = {change.name for change in by_kind.get("artifact", ())}
    for kind, listed in by_kind.items():
        if kind == "file":
            yield from _code(listed)
            continue
        for change in listed:
            if kind == "artifact":
                cause = causes.get(change.name, "")
                yield _artifact(change) + (f" ({cause})" if cause else "")
            elif kind == "about":
                if change.name not in changed:
                    yield f"input artifact {change.name!r} has another type or other metadata"
            else:
                yield _plain(change)


def _plain(change: Change) -> str:
    what = f"{change.kind} {change.name!r}" if change.kind in _KINDS else _WHOLE.get(change.part, change.part)
    if change.was is None or change.now is None:
        given = change.now if change.was is None else change.was
        value = "" if _is_digest(given) else f": {_value(given)}" if change.was is None else f", it was {_value(given)}"
        return f"{what} is new{value}" if change.was is None else f"{what} is gone{value}"
    pointed = _pointed(change.was), _pointed(change.now)
    if pointed[0] and pointed[1] and pointed[0][0] == pointed[1][0]:
        return f"{what}: {pointed[0][0]} pointed to {pointed[0][1][:12]}, points to {pointed[1][1][:12]}"
    if _is_digest(change.was) or _is_digest(change.now) or change.kind in ("inputs", "outputs", "command"):
        return f"{what} changed"
    values = _value(change.was), _value(change.now)
    if values[0] == values[1]:  # A number and its digits as text.
        values = change.was, change.now
    return f"{what} was {values[0]}, is {values[1]}"


def _artifact(change: Change) -> str:
    if change.was is None or change.now is None:
        return f"input artifact {change.name!r} is {'new' if change.was is None else 'gone'}"
    was, now = change.was.split(), change.now.split()
    if len(was) == len(now) == 1:
        return f"input artifact {change.name!r} changed: {was[0][:12]} -> {now[0][:12]}"
    if len(was) != len(now):
        return f"input {change.name!r} had {len(was)} artifacts, has {len(now)}"
    differ = sum(a != b for a, b in zip(was, now, strict=True))
    return f"of the {len(now)} artifacts of input {change.name!r}, {differ} changed"


def _code(listed: list[Change]) -> Iterator[str]:
    """A sentence for each package whose files changed."""
    packages: dict[str, list[Change]] = {}
    for change in listed:
        packages.setdefault(change.name.partition("/")[0], []).append(change)
    for package, files in packages.items():
        told = [_file(each) for each in files[:5]] + ([f"and {len(files) - 5} more"] if len(files) > 5 else [])
        yield f"the code of {package} changed: {', '.join(told)}"


def _file(change: Change) -> str:
    name = change.name.partition("/")[2]
    return f"{name} (new)" if change.was is None else f"{name} (gone)" if change.now is None else name


def _is_digest(text: str | None) -> bool:
    return text is not None and text.startswith("sha256:")


def _pointed(text: str) -> tuple[str, str] | None:
    """A reference by alias and the digest it pointed to, where a parameter was one."""
    value = _loaded(text)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value) and "@" in value[0]:
        return value[0], value[1]
    return None


def _value(text: str | None) -> str:
    value = _loaded(text or "")
    shown = value if isinstance(value, str) and value and value.isprintable() else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
