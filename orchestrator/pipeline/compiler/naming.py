"""Names as KFP and Kubernetes accept them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping


def sanitised(name: str) -> str:
    """Lower case letters, digits and single dashes, as the KFP SDK makes them."""
    return re.sub("-+", "-", re.sub("[^-0-9a-z]+", "-", name.lower())).strip("-")


def unique(name: str, taken: Collection[str]) -> str:
    """The name, or the first of `name-2`, `name-3` ... that is free."""
    found, index = name, 2
    while found in taken:
        found = f"{name}-{index}"
        index += 1
    return found


def tasks(names: Iterable[str]) -> Mapping[str, str]:
    """What each task is called in the IR. A name that needs no change keeps it, whatever else would become the same."""
    ordered = sorted(names, key=lambda name: (sanitised(name) != name, name))
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in ordered:
        result[name] = unique(sanitised(name), taken)
        taken.add(result[name])
    return result
