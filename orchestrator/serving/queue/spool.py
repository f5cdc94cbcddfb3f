"""The bodies of queued requests, each in a file of its own until its request is done with."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from orchestrator.serving.queue.item import Item

# A body may be on its way for long before its request is added.
_SWEEP_SECONDS = 24 * 3600.0


class Known(Protocol):
    """Who knows the requests."""

    def knows(self, id: str) -> bool: ...


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


def sweep(folder: Path, known: Known, now: float) -> None:
    """Remove what a kill left: bodies that belong to no request."""
    for body in bodies(folder).iterdir():
        with contextlib.suppress(FileNotFoundError):
            if now - body.stat().st_mtime > _SWEEP_SECONDS and not known.knows(body.name):
                body.unlink()
