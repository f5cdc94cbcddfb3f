"""A queued request from the outside: sent, waited for, and its answer read from where it was written."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import BackendError
from orchestrator.serving.background import Asynchronous
from orchestrator.serving.queue.item import OPEN
from orchestrator.stores import objects

LARGEST = 64 * 1024 * 1024
# What an answer may take beyond its own time: until a process has loaded the model, and others before it are done.
_PATIENCE = 600.0
_LOOK_SECONDS = 0.1
_READ_SECONDS = 60.0

Fetch = Callable[[str, bytes | None, Mapping[str, str]], bytes]
"""Asks a server: path, body, headers. Raises BackendError."""


def path(name: str) -> str:
    """Where V1 requests are queued."""
    return f"/v1/models/{name}:predictAsync"


def answer(fetch: Fetch, name: str, body: bytes, headers: Mapping[str, str], wanted: Asynchronous) -> bytes:
    """The answer to a request. Raises BackendError when it fails, is late, or cannot be read from here."""
    taken = json.loads(fetch(path(name), body, headers))
    deadline = time.monotonic() + wanted.timeout_seconds + _PATIENCE
    said: dict[str, Any] = {"Status": "Queued"}
    while said["Status"] in OPEN:
        if time.monotonic() > deadline:
            raise BackendError("model server", f"the request is {said['Status']} still: {taken['StatusLocation']}")
        time.sleep(_LOOK_SECONDS)
        said = json.loads(fetch(taken["StatusLocation"], None, {}))
    if said["Status"] != "Completed":
        raise BackendError("model server", f"the request is {said['Status']}: {said.get('FailureReason', '')}")
    with tempfile.TemporaryDirectory(prefix="answer-") as folder:
        target = Path(folder, "answer")
        objects.fetch(said["OutputLocation"], target, limit=LARGEST, seconds=_READ_SECONDS)
        return target.read_bytes()
