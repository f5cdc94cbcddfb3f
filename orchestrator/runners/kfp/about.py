"""What a server says of itself: its version, as far as it says one."""

from __future__ import annotations

import re

from orchestrator.runners.kfp.client import Client, RefusedError
from orchestrator.runners.kfp.connection import Connection
from orchestrator.runners.kfp.requests import Call

# Version 2 of the API leaves it out; the user interface, which shows it, asks the old one.
_HEALTH = Call("ask for the version", "GET", "/apis/v1beta1/healthz")
_TAG = re.compile(r"v?(\d+)\.(\d+)")


def version(connection: Connection) -> tuple[int, int] | None:
    """The server's version, e.g. (2, 16); None where it does not say. Raises BackendError when nothing answers."""
    try:
        answer = Client(connection)(_HEALTH)
    except RefusedError:
        return None  # What it does not tell everybody it may still do for us.
    found = _TAG.match(str(answer.get("tag_name") or ""))
    return (int(found[1]), int(found[2])) if found else None
