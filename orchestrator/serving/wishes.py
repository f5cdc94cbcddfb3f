"""What was asked of a declared endpoint over HTTP: to unload its models, or to load them (anew).

One small file per endpoint, so that every worker process of the server does it, and a server that is started again
remembers. It is about one declaration: a new one is served whatever was asked before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestrator.serving.marks import Mark, inside
from orchestrator.stores import whole

Wanted = Literal["loaded", "unloaded"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked, and of which declaration."""

    wanted: Wanted
    declaration: str  # Its fingerprint.
    at: str = ""


def write(state: Path, name: str, wanted: Wanted, fingerprint: str) -> None:
    """Ask for something, in place of what was asked before. Raises BackendError."""
    now = datetime.now(UTC).isoformat()
    _folder(state).mkdir(parents=True, exist_ok=True)
    whole.write(_folder(state) / f"{name}.json", json.dumps(asdict(Wish(wanted, fingerprint, now))) + "\n")


def read(state: Path, name: str) -> Wish | None:
    """What was asked last; a damaged file asks nothing."""
    try:
        plain = json.loads((_folder(state) / f"{name}.json").read_bytes())
        return Wish(**plain)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget(state: Path, name: str) -> None:
    """The endpoint is no longer declared."""
    (_folder(state) / f"{name}.json").unlink(missing_ok=True)


def marks(state: Path) -> Mapping[str, Mark]:
    """Per endpoint a value that changes with every wish."""
    return inside(_folder(state))


def _folder(state: Path) -> Path:
    return state / "residence"
