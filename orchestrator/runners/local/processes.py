"""A task as a process: forked from a warm one that has loaded its imports, where that is safe, else from scratch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.ir.spec import Container
from orchestrator.runners.local import command, process
from orchestrator.runners.local.command import Command
from orchestrator.runners.local.launch import Launch
from orchestrator.runners.local.process import Handle
from orchestrator.runners.local.warm import plan, servers
from orchestrator.runners.local.warm.plan import Program
from orchestrator.runners.local.watch import Watch

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request

_LONGEST, _MOST = 128 * 1024, 512 * 1024  # Bytes: Linux takes one argument below 128 KiB, and 2 MiB in all.


class Processes:
    """Starts the processes of one run; closed, it leaves none of those that started others."""

    def __init__(self, request: Request, watch: Watch) -> None:
        self.environments = request.settings.environments
        self.servers = None if request.cold or not servers.is_possible() else servers.Servers(watch)
        containers = (each.container for each in request.pipeline.deployment_spec.executors.values() if each.container)
        self.plan = plan.Plan(filter(None, map(_declared, containers)), request.code_paths)

    def start(self, launch: Launch) -> Handle:
        """Start a program. Raises RunError, OSError or ValueError when it cannot start."""
        chosen = command.read(launch, self.environments)
        chosen.write()
        launch = replace(launch, environment=chosen.environment)
        program = _started(chosen)
        if self.servers is None or program is None or not _usual(chosen.argv):
            return process.start(chosen.argv, launch)
        if not self.servers.is_worth(chosen.argv[0], launch):
            return process.start(chosen.argv, launch)
        return self.servers.start(chosen.argv, launch, self.plan.groups(program))

    def expect(self, container: Container, launch: Launch) -> None:
        """Begin to load what a task will need that comes after the one just launched: mostly there is a core for it."""
        program = _declared(container)
        # Only where both share one server: a task with variables or packages of its own has another.
        if self.servers and program and program[0] != "function" and not container.env and not launch.declared:
            self.servers.ready(sys.executable, launch, self.plan.groups(program))

    def close(self) -> None:
        """End what was started only to start others."""
        if self.servers:
            self.servers.close()


def _declared(container: Container) -> Program | None:
    """The program of a container, as far as it is known before any task runs."""
    asked = command.program((*container.command, *container.args))
    if asked.function:
        return plan.function(asked.source, asked.words)
    return plan.program(asked.words[1:]) if asked.words[:1] in (("python",), ("python3",)) else None


def _started(chosen: Command) -> Program | None:
    if not chosen.ready or not Path(chosen.argv[0]).name.startswith("python"):
        return None
    return plan.function(chosen.source, chosen.argv) if chosen.source else plan.program(chosen.argv[1:])


def _usual(argv: Sequence[str]) -> bool:
    """Whether the operating system would certainly take these arguments: what it refuses must be refused here too."""
    sizes = [len(each.encode("utf-8", "surrogateescape")) for each in argv]
    return max(sizes) < _LONGEST and sum(sizes) < _MOST and not any("\0" in each for each in argv)
