"""Memory that ran out: what the kernel counts, and what programs say of it."""

from __future__ import annotations

import re
from pathlib import Path

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_WORDS = re.compile(r"^[\w.]*MemoryError\b|Cannot allocate memory|std::bad_alloc")


def kills() -> int:
    """How many processes of this machine the kernel has ended for lack of memory; 0 where it does not say."""
    try:
        found = _COUNT.search(Path("/proc/vmstat").read_bytes())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def is_told(line: str) -> bool:
    """Whether the last line of a program says that it was given no memory."""
    return bool(_WORDS.search(line))
