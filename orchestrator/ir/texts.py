"""The texts inside plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def inside(value: Any) -> Iterator[str]:
    """Every text that is a value in lists and mappings, or is all there is; keys are not."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from inside(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from inside(each)
