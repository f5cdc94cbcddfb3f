"""Where code came from: the commit and the address of its repository, where git knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.images.labels import Origin

_SECONDS = 20.0


def of(folder: Path) -> Origin:
    """The origin of a folder's code; nothing for what is in no repository, or is ignored by the one it lies in."""
    revision = _git(folder, "rev-parse", "HEAD")
    if not revision or _git(folder, "check-ignore", str(folder)):
        return Origin()
    dirty = "-dirty" if _git(folder, "status", "--porcelain", "--", str(folder)) else ""
    return Origin(revision + dirty, _git(folder, "remote", "get-url", "origin"))


def _git(folder: Path, *words: str) -> str:
    """What git says; "" when it says nothing, is not there, or complains."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
