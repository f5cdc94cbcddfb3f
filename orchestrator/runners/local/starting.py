"""How a task is started: as a process, forked from a warm one, or in a container. One contract for all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.runners.local import command, process
from orchestrator.runners.local.containers.container import Containers
from orchestrator.runners.local.launch import Launch
from orchestrator.runners.local.process import Handle
from orchestrator.runners.local.watch import Watch

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


class Starter:
    """Starts the programs of one run; closed, it leaves nothing behind."""

    def __init__(self, request: Request, watch: Watch) -> None:
        self.request = request
        self.watch = watch
        self.containers = Containers(request.settings, request.run) if request.containers else None

    def start(self, launch: Launch) -> Handle:
        """Start a program. Raises RunError, OSError or ValueError when it cannot start."""
        if self.containers:
            return self.containers.start(launch)
        chosen = command.read(launch, self.request.settings.environments)
        chosen.write()
        return process.start(chosen.argv, replace(launch, environment=chosen.environment))

    def close(self) -> None:
        """End what was started only to start others."""
        if self.containers:
            self.containers.close()
