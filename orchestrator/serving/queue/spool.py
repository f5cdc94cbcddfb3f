"""The bodies of queued requests, each in a file of its own until its request is done with."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.serving.queue.item import Item


def bodies(folder: Path) -> Path:
    """Where they wait."""
    return folder / "bodies"


def settle(body: Path) -> None:
    """Make sure that a body outlives a power cut before its client is told that it was taken."""
    with body.open("rb") as file:
        os.fsync(file.fileno())


def forget(folder: Path, item: Item) -> None:
    """Remove the body of a request that is done with."""
    (bodies(folder) / item.id).unlink(missing_ok=True)
