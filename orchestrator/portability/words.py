"""Placeholders and structures in command lines, and placeholders in constants."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.ir import texts
from orchestrator.portability.subject import Found, Subject, Use

Find = Callable[[Subject], Iterator[Found]]
_NAMES = r"\{\{\$\.pipeline_(?:job_name|job_resource_name|job_uuid|task_name|task_uuid|job_\w+_time_utc)\}\}"
_TIMES = re.compile(r"\{\{\$\.pipeline_job_(?:create|schedule)_time_utc\}\}")
_NAME = re.compile(_NAMES)


def placeholder(pattern: str) -> Find:
    """Finds a placeholder in command lines."""
    compiled = re.compile(pattern)

    def find(subject: Subject) -> Iterator[Found]:
        for use in subject.uses:
            for place, word in _words(use):
                for match in compiled.finditer(word):
                    yield Found(use.inside(*place), use, "arguments", match[0])

    return find


def constant(pattern: str) -> Find:
    """Finds a placeholder in constants and in command lines."""
    compiled = re.compile(pattern)
    in_words = placeholder(pattern)

    def find(subject: Subject) -> Iterator[Found]:
        yield from in_words(subject)
        for use, name, text in _constants(subject):
            for match in compiled.finditer(text):
                yield Found(use.at("inputs", "parameters", name), use, "arguments", match[0])

    return find


def names_in_text(subject: Subject) -> Iterator[Found]:
    """A name of the run that is not the whole of a constant."""
    yield from placeholder(_NAMES)(subject)
    for use, name, text in _constants(subject):
        match = _NAME.search(text)
        if match and match[0] != text:
            yield Found(use.at("inputs", "parameters", name), use, "arguments", match[0])


def times(subject: Subject) -> Iterator[Found]:
    """The time of a run as the whole of a constant."""
    for use, name, text in _constants(subject):
        if _TIMES.fullmatch(text):
            yield Found(use.at("inputs", "parameters", name), use, "arguments", text)


def concat(subject: Subject) -> Iterator[Found]:
    """A Concat anywhere in a command line."""
    for use, place, data in _structures(subject):
        if "Concat" in _keys(data):
            yield Found(use.inside(*place), use, "arguments")


def if_present(subject: Subject) -> Iterator[Found]:
    """Any IfPresent."""
    for use, place, data in _structures(subject):
        if "IfPresent" in data:
            yield Found(use.inside(*place), use, "arguments", str(data["IfPresent"].get("InputName", "")))


def if_present_artifact(subject: Subject) -> Iterator[Found]:
    """An IfPresent that asks for an artifact which the task is given."""
    for found in if_present(subject):
        if found.use and found.detail in found.use.task.inputs.artifacts:
            yield found


def if_present_output(subject: Subject) -> Iterator[Found]:
    """An IfPresent with the place of an output in it."""
    for use, place, data in _structures(subject):
        if "IfPresent" in data and any("$.outputs" in text for text in texts.inside(data)):
            yield Found(use.inside(*place), use, "arguments", str(data["IfPresent"].get("InputName", "")))


def defaults(subject: Subject) -> Iterator[Found]:
    """A parameter in a command line which the task leaves at the default of its component."""
    for use in subject.uses:
        declared = use.component.input_definitions.parameters
        left = [name for name in declared if name not in use.task.inputs.parameters]
        for place, word in _words(use):
            if word.lstrip().startswith('{"IfPresent"'):
                continue
            for name in left:
                if f"{{{{$.inputs.parameters['{name}']}}}}" in word:
                    yield Found(use.inside(*place), use, "arguments", name)


def list_paths(subject: Subject) -> Iterator[Found]:
    """The path or URI of a list of artifacts."""
    for use in subject.uses:
        listed = [name for name, each in use.component.input_definitions.artifacts.items() if each.is_artifact_list]
        for place, word in _words(use):
            for name in listed:
                if re.search(rf"\{{\{{\$\.inputs\.artifacts\['{re.escape(name)}'\]\.(?:path|uri)\}}\}}", word):
                    yield Found(use.inside(*place), use, "arguments", name)


def _words(use: Use) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if use.container is None:
        return
    for key, words in (("command", use.container.command), ("args", use.container.args)):
        for index, word in enumerate(words):
            yield ("container", key, index), word


def _structures(subject: Subject) -> Iterator[tuple[Use, tuple[str | int, ...], dict[str, Any]]]:
    """The words that are JSON for a structure."""
    for use in subject.uses:
        for place, word in _words(use):
            if word.lstrip().startswith(('{"IfPresent"', '{"Concat"')):
                try:
                    yield use, place, json.loads(word)
                except ValueError:
                    continue


def _keys(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(_keys, data.values()))
    return set().union(*map(_keys, data)) if isinstance(data, list) else set()


def _constants(subject: Subject) -> Iterator[tuple[Use, str, str]]:
    for use in subject.uses:
        for name, parameter in use.task.inputs.parameters.items():
            value = parameter.runtime_value
            for text in texts.inside(value.constant if value else None):
                yield use, name, text
