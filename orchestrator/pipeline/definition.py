"""A pipeline file with its components found and its expressions read: what checks and compiler work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.pipeline import expression, kinds, reference, spec
from orchestrator.pipeline.component import Component, Input
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import Item, OneOf, Output, Parameter, Reference, Run
from orchestrator.source import Source

PathOf = tuple[str | int, ...]
UNKNOWN = Type("STRING")


@dataclass(frozen=True, slots=True)
class Use:
    """A task with everything read: its component, arguments as values and references, condition and loop."""

    name: str
    section: str
    spec: spec.Task
    component: Component | None
    arguments: Mapping[str, Any]
    when: expression.Condition | None = None
    foreach: Any = None

    @property
    def final(self) -> bool:
        return self.section == "finally"

    @property
    def looped(self) -> bool:
        return self.foreach is not None

    def references(self) -> Iterator[tuple[PathOf, Reference]]:
        """Every reference with the place it stands at, below the task."""
        for name, value in self.arguments.items():
            for found in reference.references(value):
                yield ("arguments", name), found
        if self.when is not None:
            for found in expression.references(self.when):
                yield ("when",), found
        for found in reference.references(self.foreach):
            yield ("foreach",), found

    def needs(self) -> list[str]:
        """The tasks this one comes after, by data or by order."""
        found = dict.fromkeys(task for _, each in self.references() for task in tasks_of(each))
        return [*found, *(name for name in self.spec.after if name not in found)]


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole pipeline: its file, its parameters as inputs, its tasks (those of `finally` too) and its outputs."""

    source: Source
    folder: Path
    spec: spec.Pipeline
    inputs: Mapping[str, Input]
    uses: Mapping[str, Use]
    outputs: Mapping[str, Reference]

    @property
    def name(self) -> str:
        return self.spec.metadata.name


def tasks_of(each: Reference) -> tuple[str, ...]:
    """The tasks a reference takes outputs from."""
    match each:
        case Output(task, _):
            return (task,)
        case OneOf(outputs):
            return tuple(output.task for output in outputs)
    return ()


def type_of(each: Reference, definition: Definition, use: Use | None) -> Type | None:
    """The type of what a reference names; None where it cannot be told (an item of a list nobody knows)."""
    match each:
        case Parameter(name):
            return definition.inputs[name].type
        case Output(task, name):
            return _output_type(definition.uses[task], name)
        case OneOf(outputs):
            return type_of(outputs[0], definition, use)
        case Run("status"):
            return Type("TASK_FINAL_STATUS")
        case Run():
            return Type("STRING")
        case Item(field):
            return item_type(definition, use, field) if use else None
    return None


def _output_type(use: Use, name: str) -> Type | None:
    if use.component is None or name not in use.component.outputs:
        return None
    kind = use.component.outputs[name].type
    if not use.looped:
        return kind
    return Type(kind.name, True, True, kind.version) if kind.artifact else Type("LIST")


def items_of(definition: Definition, use: Use) -> list[Any] | None:
    """The items of a loop, where the file tells them: a literal list, or the default of a parameter."""
    match use.foreach:
        case list() as items:
            return items
        case Parameter(name) if isinstance(definition.inputs[name].default, list):
            return definition.inputs[name].default or None
    return None


def item_type(definition: Definition, use: Use, field: str = "") -> Type | None:
    """The type of `item` or `item.FIELD`; None where it cannot be told, or differs from item to item."""
    items = items_of(definition, use)
    if not items:
        return None
    if field:
        items = [item.get(field) for item in items if isinstance(item, dict)]
    found = {kinds.type_for(item) for item in items}
    if found == {Type("NUMBER_INTEGER"), Type("NUMBER_DOUBLE")}:
        return Type("NUMBER_DOUBLE")
    return found.pop() if len(found) == 1 else None


def is_path(component_input: Input, use: Use, name: str) -> bool:
    """Whether a text given to this input is the path of a file: an artifact, or a parameter a pipeline uses as one."""
    if component_input.type.artifact:
        return True
    body = use.component.body if use.component else None
    return isinstance(body, Definition) and name in paths(body)


def paths(definition: Definition) -> set[str]:
    """The parameters of a pipeline that stand for files."""
    return {
        value.name
        for use in definition.uses.values()
        for name, value in use.arguments.items()
        if isinstance(value, Parameter)
        and use.component is not None
        and name in use.component.inputs
        and not definition.inputs[value.name].type.artifact
        and is_path(use.component.inputs[name], use, name)
    }


def declared_field_type(definition: Definition, use: Use, item: Item) -> Type:
    """The type an item, or a field of it, is handed to a condition with."""
    known = item_type(definition, use, item.field)
    if known is not None:
        return known
    for each in _compares(use.when):
        for side, other in ((each.left, each.right), (each.right, each.left)):
            if side == item and isinstance(other, expression.Literal):
                return kinds.type_for(other.value) or UNKNOWN
    return UNKNOWN


def _compares(tree: expression.Condition | None) -> Iterator[expression.Compare]:
    match tree:
        case expression.Compare():
            yield tree
        case expression.Not(term):
            yield from _compares(term)
        case expression.Every(terms) | expression.Some(terms):
            for term in terms:
                yield from _compares(term)


def declared_item_type(definition: Definition, use: Use) -> Type:
    """The type an item is declared with in the IR: what is known of it, or else what the task makes of it."""
    known = item_type(definition, use)
    if known is not None:
        return known
    if any(isinstance(found, Item) and found.field for _, found in use.references()):
        return Type("STRUCT")
    inputs = use.component.inputs if use.component else {}
    for name, value in sorted(use.arguments.items()):
        if value == Item() and name in inputs and not inputs[name].type.artifact:
            return inputs[name].type
    return UNKNOWN
