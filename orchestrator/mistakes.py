"""What a document's model found wrong, told as problems with a place, a message in words and a hint."""

from __future__ import annotations

import types
import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.errors import Location, Problem, did_you_mean
from orchestrator.source import Source

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}


def describe(value: Any) -> str:
    """A value as a person would name it: "the text 'a'", "the number 3", "a list"."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            shown = value if len(value) <= 40 else value[:37] + "..."
            return f"the text {shown!r}"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def problems(error: ValidationError, cls: type[BaseModel], source: Source) -> list[Problem]:
    """Every finding of pydantic as a Problem at its place in `source`; findings of one place become one."""
    expected: dict[tuple[Location, str], list[str]] = defaultdict(list)
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        path = _real(detail["loc"], source.data)
        kind = detail["type"]
        if kind == "extra_forbidden":
            name = str(detail["loc"][-1])
            hint = did_you_mean(name, _keys(cls, path[:-1]))
            found.append(Problem(source.at(*path, key=True), f"unknown key {name!r}", hint))
        elif kind == "missing":
            name = str(detail["loc"][-1])
            found.append(Problem(source.at(*path, key=True), f"missing key {name!r}"))
        elif kind in _EXPECTED:
            expected[source.at(*path), describe(detail["input"])].append(_EXPECTED[kind])
        else:
            found.append(_other(detail, source.at(*path)))
    for (place, given), wanted in expected.items():
        found.append(Problem(place, f"expected {' or '.join(dict.fromkeys(wanted))}, not {given}"))
    return found


def _other(detail: Any, place: Location) -> Problem:
    context = detail.get("ctx", {})
    given = describe(detail["input"])
    match detail["type"]:
        case "literal_error" | "enum":
            wanted = str(context.get("expected", ""))
            known = [word.strip(" '") for word in wanted.replace(" or ", ", ").split(",")]
            hint = did_you_mean(str(detail["input"]), known)
            return Problem(place, f"expected {wanted}, not {given}", hint if "mean" in hint else "")
        case "value_error":
            # A validator of ours may hand over a hint as a second argument.
            arguments: tuple[Any, ...] = getattr(context.get("error"), "args", ())
            hint = str(arguments[1]) if len(arguments) > 1 else ""
            message = str(arguments[0]) if arguments else detail["msg"].removeprefix("Value error, ")
            return Problem(place, message, hint)
        case _:
            message = detail["msg"]
            return Problem(place, f"{message[:1].lower()}{message[1:]}, not {given}")


def _real(loc: Iterable[int | str], data: Any) -> tuple[int | str, ...]:
    """The part of pydantic's location that is in the data: it also names union members, which are not."""
    path: list[int | str] = []
    for part in loc:
        listed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if listed or (isinstance(data, Mapping) and part in data):
            data = data[part]
            path.append(part)
    return tuple(path)


def _keys(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys known at `path` below `cls`."""
    places: list[Any] = [cls]
    for part in path:
        places = [inner for place in places for inner in _step(place, part)]
    known: list[str] = []
    for place in places:
        if isinstance(place, type) and issubclass(place, BaseModel):
            known.extend(field.alias or name for name, field in place.model_fields.items())
    return known


def _step(place: Any, part: int | str) -> list[Any]:
    if isinstance(place, type) and issubclass(place, BaseModel):
        for name, field in place.model_fields.items():
            if part in (name, field.alias):
                return _members(field.annotation)
        return []
    arguments = typing.get_args(place)
    return _members(arguments[-1 if isinstance(part, str) else 0]) if arguments else []


def _members(annotation: Any) -> list[Any]:
    """A type's alternatives, with Annotated and unions taken apart."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [inner for member in typing.get_args(annotation) for inner in _members(member)]
    return [annotation]
