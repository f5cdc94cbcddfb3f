"""How far a task says it is: the progress lines of its log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_TAIL = 64 * 1024


@dataclass(slots=True)
class Lines:
    """A log that is looked at again and again."""

    log: Path
    read: int = 0
    """How much of it has been looked through."""

    def last(self) -> tuple[float, float, str] | None:
        """The last progress line written since the last look."""
        try:
            size = self.log.stat().st_size
            if size <= self.read:
                return None
            with self.log.open("rb") as stream:
                stream.seek(max(self.read, size - _TAIL))
                lines = stream.read(_TAIL).decode("utf-8", "replace").splitlines()
        except OSError:
            return None
        self.read = size
        return next((found for line in reversed(lines) if (found := parse(line))), None)


def parse(line: str) -> tuple[float, float, str] | None:
    """`::progress 3/10 epoch` as (3.0, 10.0, "epoch")."""
    if not line.startswith("::progress "):
        return None
    numbers, _, text = line.removeprefix("::progress ").partition(" ")
    done, _, total = numbers.partition("/")
    try:
        return float(done), float(total), text.strip()
    except ValueError:
        return None
