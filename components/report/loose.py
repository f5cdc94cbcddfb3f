"""Looking into JSON that any component may have written: what is not there, or of another type, is absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path of keys; empty when there is none."""
    found = _at(value, path)
    return found if isinstance(found, Mapping) else {}


def listed(value: Any, *path: str) -> list[Any]:
    """The list at a path of keys; empty when there is none."""
    found = _at(value, path)
    return found if isinstance(found, list) else []


def mappings(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """The mappings in the list at a path of keys."""
    return [each for each in listed(value, *path) if isinstance(each, Mapping)]


def text(value: Any, *path: str) -> str:
    """The text at a path of keys, of a number too; "" when there is none."""
    found = _at(value, path)
    if isinstance(found, str):
        return found
    return str(found) if isinstance(found, int | float) and not isinstance(found, bool) else ""


def number(value: Any, *path: str) -> float | None:
    """The number at a path of keys; our files write those that are not finite as words."""
    found = _at(value, path)
    if isinstance(found, str):
        return _WORDS.get(found)
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(found)
        except OverflowError:  # An integer of more than 308 digits is JSON too.
            return math.inf if found > 0 else -math.inf
    return None


def whole(value: Any, *path: str) -> int | None:
    """The whole number at a path of keys."""
    found = number(value, *path)
    return int(found) if found is not None and math.isfinite(found) else None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
