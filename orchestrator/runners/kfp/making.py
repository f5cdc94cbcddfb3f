"""Making something on the server once, though the answer may be lost: it is looked for before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.runners.kfp.client import ATTEMPTS, Client, ConflictError, UnansweredError
from orchestrator.runners.kfp.requests import Call

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What is on the server."""

    thing: Found
    new: bool
    """Whether it was made just now."""
    lost: bool = False
    """Whether an answer was lost on the way: the server may make another yet."""


def named(client: Client, look: Call, key: str, name: str) -> list[Found]:
    """What is there of that name; a server that does not understand the filter lists more."""
    listed = client.pages(look, key)
    return [each for each in listed if name in (each.get("display_name"), each.get("name")) and not _is_put_away(each)]


def made(client: Client, look: Callable[[], list[Found]], create: Call, *, sleep: Callable[[float], None]) -> Made:
    """What is there, or else is made now. Raises BackendError."""
    found = look()
    if found:
        return Made(found[0], new=False)
    pause = 0.5
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Made(client(create), new=True, lost=attempt > 1)
        except ConflictError:
            found = look()
            if not found:
                raise
            return Made(found[0], new=False)
        except UnansweredError:
            # It may have been made, or be in the making: seen from here the two are the same.
            sleep(pause)
            pause *= 2
            found = look()
            if found:
                return Made(found[0], new=True, lost=True)
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


def _is_put_away(each: Found) -> bool:
    return each.get("storage_state") == "ARCHIVED"
