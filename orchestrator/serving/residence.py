"""Which models stay in memory: within the bounds of the server, those that were asked last."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from orchestrator import digest
from orchestrator.errors import OrchestratorError
from orchestrator.serving.declarations import Declaration

# What a user is told of models that are not in memory.
ABSENT = {"asleep": "asleep: the next request loads it", "unloaded": "unloaded, as it was asked to be"}


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be loaded at a time; None is no bound."""

    memory: int | None = None  # Bytes, as `size` counts them.
    endpoints: int | None = None


class Resident(NamedTuple):
    """An endpoint whose models are loaded."""

    name: str
    size: int
    used: float  # When it was last asked; later is larger.


def leaving(residents: Iterable[Resident], size: int, room: Room) -> list[str]:
    """Who is unloaded so that one of this size comes in: the least recently used. Raises OrchestratorError."""
    if room.memory is not None and size > room.memory:
        message = f"its models take {_said(size)}, and the server may use {_said(room.memory)}"
        raise OrchestratorError(message, hint="start the server with more --memory")
    staying = sorted(residents, key=lambda each: each.used)
    held = sum(each.size for each in staying)
    gone: list[str] = []
    while staying and (
        (room.memory is not None and held + size > room.memory)
        or (room.endpoints is not None and len(staying) + 1 > room.endpoints)
    ):
        first = staying.pop(0)
        held -= first.size
        gone.append(first.name)
    return gone


def size(declaration: Declaration) -> int:
    """What the models of an endpoint are counted as: the bytes of their folders, each counted once."""
    folders = {variant.path for variant in declaration.variants}
    return sum(digest.size(Path(folder)) for folder in folders if Path(folder).exists())


def give_back() -> None:
    """Hand memory that nothing uses any more back to the machine."""
    gc.collect()
    try:
        # The C library keeps what was freed for later, unless it is told not to.
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # Not the GNU library.
        return


def _said(count: int) -> str:
    mebibytes = count / 1024**2
    return f"{mebibytes / 1024:.3g} GiB" if mebibytes >= 1024 else f"{mebibytes:.3g} MiB"
