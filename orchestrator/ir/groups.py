"""Groups: DAGs that a compiler put around tasks, for a condition, a loop, branches or an exit handler."""

from __future__ import annotations

import re

from orchestrator.ir.spec import Component

CONDITION, BRANCHES, EXIT, LOOP = "condition", "condition-branches", "exit-handler", "for-loop"
_PLACEHOLDER = re.compile(r"\{\{\$.*?\}\}")
_VARIABLE = re.compile(r"(?<![\w-])(?:[\w-]+-loop-item|loop-item-param-\d+)(?![\w-])")
_ITEM = re.compile(r"(?:.*-loop-item|(?:.*--)?loop-item-param-\d+)(?:-subvar-(.+))?")
_ADDED = re.compile(rf"({CONDITION}|{BRANCHES}|{EXIT}|{LOOP})-\d+")


def kind(key: str, component: Component) -> str:
    """Which of them a task of this name is; "" for a task its author wrote."""
    found = _ADDED.fullmatch(key) if component.dag is not None else None
    return found[1] if found else ""


def item(name: str) -> str:
    """What an input that the SDK named after a loop's item stands for: `item`, or `item.FIELD`; "" for any other."""
    found = _ITEM.fullmatch(name)
    return "" if found is None else f"item.{found[1]}" if found[1] else "item"


def variables(text: str) -> list[str]:
    """The loops' variables whose names stand in a text: in the KFP DSL, `item.name` is that and no field."""
    return _VARIABLE.findall(_PLACEHOLDER.sub("", text))
