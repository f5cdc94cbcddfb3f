"""Checks of types and files: every value fits where it goes, and every file that is named is there."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import Location, Problem, did_you_mean
from orchestrator.mistakes import describe
from orchestrator.pipeline import cel, reference
from orchestrator.pipeline.component import Input
from orchestrator.pipeline.definition import Definition, Use, is_path, item_type, items_of, type_of
from orchestrator.pipeline.kinds import Type, fits
from orchestrator.pipeline.reference import ExpressionError, Item, Parameter, Reference, Text

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def problems(definition: Definition) -> list[Problem]:
    """Everything wrong with types in one pipeline whose names are right."""
    found: list[Problem] = []
    for use in definition.uses.values():
        found.extend(_loop(definition, use))
        found.extend(_condition(definition, use))
        inputs = use.component.inputs if use.component else {}
        for name, value in use.arguments.items():
            place = definition.source.at(use.section, use.name, "arguments", name)
            found.extend(_argument(definition, use, (name, inputs[name]), value, place))
    for name, each in definition.outputs.items():
        found.extend(_one_type(definition, None, each, definition.source.at("outputs", name)))
        if isinstance(each, Parameter | Item):
            place = definition.source.at("outputs", name)
            found.append(Problem(place, "an output of a pipeline is the output of one of its tasks"))
    return found


def constant(value: Any, wanted: Input, place: Location, what: str) -> Iterator[Problem]:
    """What is wrong with a constant that stands for a parameter."""
    if not fits(value, wanted.type.name):
        hint = ""
        if wanted.type.name == "STRING" and isinstance(value, bool | int | float):
            hint = f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
        yield Problem(place, f"{what} must be {_article(wanted.type)}, not {describe(value)}", hint)
    elif not _finite(value):
        yield Problem(place, f"{what} must be finite: infinity and NaN cannot be handed on")
    elif wanted.literals and value not in wanted.literals:
        known = [str(each) for each in wanted.literals]
        yield Problem(
            place, f"{what} must be one of {', '.join(known)}, not {describe(value)}", did_you_mean(str(value), known)
        )


def _finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case list():
            return all(map(_finite, value))
        case dict():
            return all(map(_finite, value.values()))
    return True


def _loop(definition: Definition, use: Use) -> Iterator[Problem]:
    place = definition.source.at(use.section, use.name, "foreach")
    match use.foreach:
        case None:
            return
        case []:
            yield Problem(place, "'foreach' over an empty list: the task would never run")
        case list() as items:
            if any("${" in str(item) for item in items):
                yield Problem(
                    place, "a literal list of 'foreach' holds constants only", "loop over a parameter of type list"
                )
            elif not _finite(items):
                yield Problem(place, "the items of a loop must be finite: infinity and NaN cannot be handed on")
            elif item_type(definition, use) is None:
                yield Problem(place, "the items of a loop are all of one type")
        case _:
            found = type_of(use.foreach, definition, use)
            if found is not None and not (found.many or found.name == "LIST"):
                yield Problem(place, f"'foreach' goes over a list; '{use.foreach}' is {_article(found)}")
    items = items_of(definition, use) or []
    fields = {each.field for _, each in use.references() if isinstance(each, Item) and each.field}
    for field in sorted(fields):
        lacking = [item for item in items if not isinstance(item, dict) or field not in item]
        if lacking:
            keys = lacking[0] if isinstance(lacking[0], dict) else ()
            message = f"'${{item.{field}}}': the item {lacking[0]!r} has no {field!r}"
            yield Problem(place, message, did_you_mean(field, keys))


def _condition(definition: Definition, use: Use) -> Iterator[Problem]:
    if use.when is None:
        return
    try:
        cel.condition(use.when, lambda each: (type_of(each, definition, use), str(each)))
    except ExpressionError as error:
        yield Problem(definition.source.at(use.section, use.name, "when"), error.message, error.hint)


def _argument(
    definition: Definition, use: Use, target: tuple[str, Input], value: Any, place: Location
) -> Iterator[Problem]:
    name, wanted = target
    what = f"{name!r} of task {use.name!r}"
    for each in reference.references(value):
        yield from _one_type(definition, use, each, place)
    match value:
        case None:
            return
        case reference.Parameter() | reference.Output() | reference.Run() | Item() | reference.OneOf():
            given = type_of(value, definition, use)
            if given is not None:
                yield from _given(given, value, wanted.type, place, what)
            return
        case Text() if wanted.type.artifact or wanted.type.name == "STRING":
            pass
        case Text():
            yield Problem(place, f"{what} must be {_article(wanted.type)}, not a text with references inside")
        case str() if wanted.type.artifact:
            pass
        case _ if wanted.type.artifact:
            hint = "give the output of a task, a file or a URI"
            yield Problem(place, f"{what} must be {_article(wanted.type)}, not {describe(value)}", hint)
        case _:
            yield from constant(value, wanted, place, what)
    if wanted.type.many:
        yield Problem(place, f"{what} must be {_article(wanted.type)}: give the outputs of a loop")
    for each in reference.references(value):
        found = type_of(each, definition, use)
        if found is not None and (found.artifact or found.name == "TASK_FINAL_STATUS"):
            yield Problem(place, f"'{each}' is {_article(found)}: it cannot stand inside a text, a list or a mapping")


def _given(given: Type, value: Reference, wanted: Type, place: Location, what: str) -> Iterator[Problem]:
    if given.artifact and wanted.artifact:
        general = "system.Artifact" in (given.name, wanted.name)
        if given.many == wanted.many and (general or given.name == wanted.name):
            return
    elif wanted.artifact and given.name == "STRING" and not wanted.many:
        return  # The text is a path or a URI, and an importer makes the artifact.
    elif given.name == wanted.name or (given.name, wanted.name) == ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        return
    hint = ""
    if given.many and not wanted.many:
        hint = "a task with 'foreach' gives lists"
    elif wanted.name == "STRING" and not given.artifact:
        hint = f'write it as text: "value: ${{{value}}}"'
    elif given.artifact and not wanted.artifact:
        hint = "an artifact is a file; a parameter is a value"
    yield Problem(place, f"{what} must be {_article(wanted)}, but '{value}' is {_article(given)}", hint)


def _one_type(definition: Definition, use: Use | None, each: Reference, place: Location) -> Iterator[Problem]:
    if not isinstance(each, reference.OneOf):
        return
    kinds = {str(type_of(output, definition, use)): output for output in each.outputs}
    if len(kinds) > 1:
        shown = ", ".join(f"'{output}' is {kind}" for kind, output in kinds.items())
        yield Problem(place, f"the branches of 'one_of' are of one type: {shown}")


def _article(kind: Type) -> str:
    names = {
        "STRING": "text",
        "NUMBER_INTEGER": "a whole number",
        "NUMBER_DOUBLE": "a number",
        "BOOLEAN": "true or false",
        "LIST": "a list",
        "STRUCT": "a mapping",
        "TASK_FINAL_STATUS": "the status of the run",
    }
    if not kind.artifact:
        return names.get(kind.name, kind.name)
    return f"a list of {kind.name.removeprefix('system.')} artifacts" if kind.many else f"an artifact ({kind})"


def is_uri(text: str) -> bool:
    """Whether a text that stands for an artifact is a URI rather than the path of a file."""
    return bool(_URI.match(text))


def missing(definition: Definition, *, given: Collection[str] = ()) -> list[Problem]:
    """Files that are named and not there: constants, and defaults of parameters, that stand for artifacts."""
    found: dict[Location, Problem] = {}
    for use in definition.uses.values():
        inputs = use.component.inputs if use.component else {}
        for name, value in use.arguments.items():
            if not is_path(inputs[name], use, name):
                continue
            match value:
                case str():
                    place = definition.source.at(use.section, use.name, "arguments", name)
                    path = value
                case Parameter(parameter) if (
                    definition.inputs[parameter].default is not None and parameter not in given
                ):
                    written = definition.spec.parameters[parameter].model_fields_set
                    inside = ("default",) if "type" in written or "description" in written else ()
                    place = definition.source.at("parameters", parameter, *inside)
                    path = str(definition.inputs[parameter].default)
                case _:
                    continue
            if (not is_uri(path) and not _there(definition.folder / path)) or not path:
                found[place] = Problem(place, *_absent(definition.folder, path))
    return list(found.values())


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _absent(folder: Path, path: str) -> tuple[str, str]:
    if not path:
        return "the path of a file is empty", ""
    parent = (folder / path).parent
    try:
        near = [each.name for each in parent.iterdir()] if parent.is_dir() else []
    except OSError:
        near = []
    hint = did_you_mean(Path(path).name, near)
    hint = hint if hint.startswith("did you") else "a relative path begins at the pipeline file's folder"
    return f"the file {path!r} does not exist", hint
