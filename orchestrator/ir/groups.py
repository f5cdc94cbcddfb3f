"""Groups: DAGs that a compiler put around tasks, for a condition, a loop, branches or an exit handler."""

from __future__ import annotations

import re

from orchestrator.ir.spec import Component

CONDITION, BRANCHES, EXIT, LOOP = "condition", "condition-branches", "exit-handler", "for-loop"
_ADDED = re.compile(rf"({CONDITION}|{BRANCHES}|{EXIT}|{LOOP})-\d+")


def kind(key: str, component: Component) -> str:
    """Which of them a task of this name is; "" for a task its author wrote."""
    found = _ADDED.fullmatch(key) if component.dag is not None else None
    return found[1] if found else ""
