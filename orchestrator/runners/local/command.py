"""The command line of a container as a process of this machine has it: its own Python, no bootstrap."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

from orchestrator.errors import RunError
from orchestrator.runners.local.launch import Launch


@dataclass(frozen=True, slots=True)
class Command:
    """What is started."""

    argv: tuple[str, ...]

    @property
    def module(self) -> str:
        """The module of `python -m MODULE`, which a fork server can run; "" for everything else."""
        return self.argv[2] if self.argv[0] == sys.executable and self.argv[1:2] == ("-m",) and self.argv[2:] else ""


def read(launch: Launch) -> Command:
    """The command of a launch. Raises RunError when this machine cannot run it."""
    words = launch.words
    # The SDK's lightweight components begin by installing kfp; here what is installed already is used.
    if words[:2] == ("sh", "-c") and len(words) > 4 and "pip install" in words[2]:
        words = words[3:]
    if not words:
        raise RunError(f"the image {launch.image!r} gives no command, and a process needs one")
    program = words[0]
    if program in ("python", "python3"):
        return Command((sys.executable, *words[1:]))
    if shutil.which(program, path=launch.environment.get("PATH")) is None:
        raise RunError(f"the program {program!r} of the image {launch.image!r} is not on this machine")
    return Command(words)
