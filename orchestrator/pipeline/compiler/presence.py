"""Which optional inputs of a task are given, as far as that is known before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.pipeline import reference
from orchestrator.pipeline.component import Container, Input
from orchestrator.pipeline.definition import Definition, Use
from orchestrator.pipeline.reference import Item, OneOf


def known(definition: Definition, use: Use) -> Mapping[str, bool]:
    """Whether each optional input has a value; those of which only the run can tell are left out."""
    found: dict[str, bool] = {}
    for name, each in (use.component.inputs if use.component else {}).items():
        if not each.optional:
            continue
        value = use.arguments.get(name)
        if value is None:
            found[name] = each.default is not None
        elif each.default is not None or _is_sure(definition, use, each, value):
            found[name] = True
    return found


def _is_sure(definition: Definition, use: Use, wanted: Input, value: Any) -> bool:
    """Whether an argument has a value whenever the task runs."""
    if wanted.type.artifact and use.final and not isinstance(value, reference.Parameter):
        return False  # Made by a task, or imported by one; and `finally` comes even when that failed.
    match value:
        case OneOf():
            return False  # Perhaps no branch ran.
        case Item(field):
            return wanted.type.artifact or _has_values(use.foreach, field)
        case reference.Output(task, _):
            producer = definition.uses[task]
            # A pipeline within this one succeeds though what makes its output was not asked to run.
            program = producer.component is not None and isinstance(producer.component.body, Container)
            return not use.final and (program or producer.looped)
    return True


def _has_values(items: Any, field: str) -> bool:
    """Whether all items of a loop are known to have a value; a list that nobody knows may hold nulls."""
    return isinstance(items, list) and all(not field or item.get(field) is not None for item in items)
