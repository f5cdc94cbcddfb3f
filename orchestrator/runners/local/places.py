"""Where an attempt of a program works and writes its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one attempt."""

    folder: Path
    work: Path
    """Its working directory."""
    scratch: Path
    """Its folder for temporary files, which goes when it ends."""

    @property
    def executor_output(self) -> Path:
        """KFP's executor_output.json."""
        return self.folder / "executor_output.json"

    def parameter(self, name: str) -> Path:
        """The file of an output parameter."""
        return self.folder / "parameters" / name

    def artifact(self, name: str) -> Path:
        """The file or folder of an output artifact."""
        return self.folder / "artifacts" / name
