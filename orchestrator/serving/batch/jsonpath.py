"""The part of JSONPath that filters are written in: names, positions, slices and `*`, from `$` on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import OrchestratorError, did_you_mean

_NAME = re.compile(r"\.(?:(?P<name>[^\W\d][\w-]*)|(?P<all>\*))|\[\s*(?P<every>\*)\s*\]")
_QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_NAMES = re.compile(rf"\[\s*(?P<names>{_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\]")
_PLACES = re.compile(r"\[\s*(?P<places>-?\d+(?:\s*,\s*-?\d+)*)\s*\]")
_SLICE = re.compile(r"\[\s*(?P<start>-?\d+)?\s*:\s*(?P<stop>-?\d+)?\s*\]")
_HINT = "a filter looks like $.features, $['id','prediction'], $[0,-1] or $[1:]"


class AbsentError(Exception):
    """A value has nothing at the path."""


@dataclass(frozen=True, slots=True)
class Names:
    """One member of an object, or several of them as an object."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """One element of a list, counted from 0 or from the end, or several of them as a list."""

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Elements of a list from one place to before another."""

    start: int | None
    stop: int | None


@dataclass(frozen=True, slots=True)
class All:
    """Every member or element."""


Step = Names | Places | Slice | All


@dataclass(frozen=True, slots=True)
class Path:
    """What a filter chooses; without steps, all there is."""

    text: str = "$"
    steps: tuple[Step, ...] = ()

    def of(self, value: Any) -> Any:
        """What the path chooses of a JSON value. Raises AbsentError."""
        return _chosen(self.steps, value)

    def columns(self, names: Sequence[str], what: str) -> list[str]:
        """The columns of a table that the path chooses. Raises OrchestratorError, calling the table `what`."""
        if not self.steps:
            return list(names)
        if len(self.steps) > 1:
            message = f"the filter {self.text} goes deeper than a column, and {what} is a table"
            raise OrchestratorError(message, hint="choose columns: $.name, $['one','two'], $[0,-1] or $[1:]")
        match self.steps[0]:
            case Names(wanted):
                for name in wanted:
                    if name not in names:
                        hint = did_you_mean(name, names)
                        raise OrchestratorError(
                            f"the filter {self.text} names a column {name!r}: {what} has none", hint=hint
                        )
                return list(wanted)
            case Places(wanted):
                if outside := next((at for at in wanted if not -len(names) <= at < len(names)), None):
                    message = f"the filter {self.text} names column {outside}: {what} has {len(names)} columns"
                    raise OrchestratorError(message, hint="columns count from 0, and from -1 at the end")
                return [names[at] for at in wanted]
            case Slice(start, stop):
                return list(names[start:stop])
            case _:
                return list(names)


def parse(text: str) -> Path:
    """The path a text says. Raises OrchestratorError."""
    stripped = text.strip()
    if not stripped.startswith("$"):
        raise OrchestratorError(f"the filter {text!r} does not begin with $", hint=_HINT)
    return Path(stripped, tuple(_steps(stripped)))


def _steps(text: str) -> Iterator[Step]:
    at = 1
    while at < len(text):
        for pattern in (_NAME, _NAMES, _PLACES, _SLICE):
            if match := pattern.match(text, at):
                break
        else:
            raise OrchestratorError(f"the filter {text} cannot be read from {text[at:]!r} on", hint=_HINT)
        yield _step(match)
        at = match.end()


def _step(match: re.Match[str]) -> Step:
    given = match.groupdict()
    if given.get("name"):
        return Names((given["name"],))
    if given.get("names"):
        quoted = re.findall(_QUOTED, given["names"])
        return Names(tuple(re.sub(r"\\(.)", r"\1", each[1:-1]) for each in quoted))
    if given.get("places"):
        return Places(tuple(int(each) for each in given["places"].split(",")))
    if "start" in given:
        start, stop = (None if given[end] is None else int(given[end]) for end in ("start", "stop"))
        return Slice(start, stop)
    return All()


def _chosen(steps: tuple[Step, ...], value: Any) -> Any:
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    match first:
        case Names((name,)) if isinstance(value, Mapping) and name in value:
            return _chosen(rest, value[name])
        case Names(names) if isinstance(value, Mapping) and len(names) > 1:
            # Of several, those that are not there are left out: a record may lack what another has.
            return {name: _chosen(rest, value[name]) for name in names if name in value}
        case Places((place,)) if isinstance(value, list) and -len(value) <= place < len(value):
            return _chosen(rest, value[place])
        case Places(places) if isinstance(value, list) and len(places) > 1:
            if all(-len(value) <= place < len(value) for place in places):
                return [_chosen(rest, value[place]) for place in places]
        case Slice(start, stop) if isinstance(value, list):
            return [_chosen(rest, each) for each in value[start:stop]]
        case All() if isinstance(value, list | Mapping):
            return [_chosen(rest, each) for each in (value.values() if isinstance(value, Mapping) else value)]
    raise AbsentError
