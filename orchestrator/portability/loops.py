"""Loops as the KFP SDK compiles them, with what it does not hand on; and numbers that lose their last digits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from orchestrator.ir import groups, texts
from orchestrator.portability.subject import Found, Subject

EXACT = 2**53
"""A server keeps numbers as 64-bit floating point, which has all whole numbers up to here."""


def lost_items(subject: Subject) -> Iterator[Found]:
    """An item of a loop, or a field of it, that a group makes use of and is not given."""
    by_path = {use.path: use for use in subject.uses}
    for use in subject.uses:
        around = by_path.get(use.path.rpartition("/")[0])
        given = {*(around.task.inputs.parameters if around else subject.pipeline.root.input_definitions.parameters)}
        if around and around.task.parameter_iterator:
            given.add(around.task.parameter_iterator.item_input)
        for source in use.task.inputs.parameters.values():
            taken = source.component_input_parameter
            if taken and taken not in given and groups.item(taken):
                yield Found(use.at("inputs", "parameters"), use, "arguments", groups.item(taken))


def item_name(subject: Subject) -> Iterator[Found]:
    """`item.name` in the KFP DSL."""
    for use in subject.uses:
        for name, source in use.task.inputs.parameters.items():
            for text in texts.inside(source.runtime_value.constant if source.runtime_value else None):
                for variable in groups.variables(text):
                    yield Found(use.at("inputs", "parameters", name), use, "arguments", variable)


def large_numbers(subject: Subject) -> Iterator[Found]:
    """Whole numbers that lose their last digits."""
    for name, declared in subject.pipeline.root.input_definitions.parameters.items():
        for number in _large(declared.default_value):
            yield Found(("root", "inputDefinitions", "parameters", name), detail=number)
    for use in subject.uses:
        for name, source in use.task.inputs.parameters.items():
            for number in _large(source.runtime_value.constant if source.runtime_value else None):
                yield Found(use.at("inputs", "parameters", name), use, "arguments", number)
        if use.task.parameter_iterator:
            for number in _large(_read(use.task.parameter_iterator.items.raw)):
                yield Found(use.at("parameterIterator", "items"), use, "foreach", number)
        if use.component.dag is None:
            for name, declared in use.component.input_definitions.parameters.items():
                if name not in use.task.inputs.parameters:
                    for number in _large(declared.default_value):
                        yield Found(use.at(), use, "component", number)


def _large(value: Any) -> Iterator[str]:
    match value:
        case bool():
            return
        case int() if abs(value) > EXACT and int(float(value)) != value:
            yield str(value)
        case dict():
            for each in value.values():
                yield from _large(each)
        case list() | tuple():
            for each in value:
                yield from _large(each)


def _read(raw: str) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None
