"""Making something on the server once, though the answer may be lost: it is looked for before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.runners.kfp.client import ATTEMPTS, Client, ConflictError, UnansweredError
from orchestrator.runners.kfp.requests import Call

Found = Mapping[str, Any]


def named(client: Client, look: Call, key: str, name: str) -> list[Found]:
    """What is there of that name; a server that does not understand the filter lists more."""
    listed = client.pages(look, key)
    return [each for each in listed if name in (each.get("display_name"), each.get("name")) and not _is_put_away(each)]


def made(
    client: Client, look: Callable[[], list[Found]], create: Call, *, sleep: Callable[[float], None]
) -> tuple[Found, bool]:
    """What is there, or else is made now, and whether it is new. Raises BackendError."""
    found = look()
    if found:
        return found[0], False
    pause = 0.5
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return client(create), True
        except ConflictError:
            found = look()
            if not found:
                raise
            return found[0], False
        except UnansweredError:
            # It may have been made, or be in the making: seen from here the two are the same.
            sleep(pause)
            pause *= 2
            found = look()
            if found:
                return found[0], True
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


def _is_put_away(each: Found) -> bool:
    return each.get("storage_state") == "ARCHIVED"
