"""What a document's model found wrong, told as problems with a place, a message in words and a hint."""

from __future__ import annotations

import re
import types
import typing
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
_INSIDE = ("missing", "extra_forbidden")


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
    details = [(_real(detail["loc"], source.data), detail) for detail in error.errors(include_url=False)]
    # Where one of several alternatives took the shape and complains of what is inside, the others have no say.
    entered = {path[:length] for path, detail in details for length in range(len(path) + (detail["type"] in _INSIDE))}
    entered -= {path for path, detail in details if detail["type"] == "extra_forbidden"}
    wanted: dict[Location, tuple[list[str], Any]] = {}
    found: list[Problem] = []
    for path, detail in details:
        name, context = str(detail["loc"][-1]) if detail["loc"] else "", detail.get("ctx", {})
        match detail["type"]:
            case "extra_forbidden":
                hint = did_you_mean(name, _keys(cls, path[:-1]))
                found.append(Problem(source.at(*path, key=True), f"unknown key {name!r}", hint))
            case "missing":
                found.append(Problem(source.at(*path, key=True), f"missing key {name!r}"))
            case "literal_error" | "enum":
                if path not in entered:
                    wanted.setdefault(source.at(*path), ([], detail))[0].append(str(context.get("expected", "")))
            case kind if kind in _EXPECTED:
                if path not in entered:
                    wanted.setdefault(source.at(*path), ([], detail))[0].append(_EXPECTED[kind])
            case _:
                found.append(_other(detail, source.at(*path)))
    # What a validator of ours says is more to the point than the type that an alternative would have had.
    told = {problem.at for problem in found}
    return found + [_unexpected(place, *each) for place, each in wanted.items() if place not in told]


def _unexpected(place: Location, wanted: list[str], detail: Any) -> Problem:
    given = detail["input"]
    words = [word for each in wanted for word in re.findall(r"'([^']*)'", each)]
    hint = did_you_mean(given, words) if isinstance(given, str) else ""
    message = f"expected {' or '.join(dict.fromkeys(wanted))}, not {describe(given)}"
    return Problem(place, message, hint if "mean" in hint else "")


def _other(detail: Any, place: Location) -> Problem:
    if detail["type"] == "value_error":
        # A validator of ours may hand over a hint as a second argument.
        arguments: tuple[Any, ...] = getattr(detail.get("ctx", {}).get("error"), "args", ())
        hint = str(arguments[1]) if len(arguments) > 1 else ""
        message = str(arguments[0]) if arguments else detail["msg"].removeprefix("Value error, ")
        return Problem(place, message, hint)
    message = detail["msg"]
    return Problem(place, f"{message[:1].lower()}{message[1:]}, not {describe(detail['input'])}")


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
