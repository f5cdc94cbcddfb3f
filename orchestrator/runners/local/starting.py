"""How a task is started: as a process, forked from a warm one, or in a container. One contract for all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.ir.spec import Container, Executor
from orchestrator.runners.local import cache, placeholders
from orchestrator.runners.local import launch as launches
from orchestrator.runners.local.containers import plan
from orchestrator.runners.local.containers.container import Containers
from orchestrator.runners.local.launch import Launch
from orchestrator.runners.local.process import Handle
from orchestrator.runners.local.processes import Processes
from orchestrator.runners.local.watch import Watch
from orchestrator.stores.artifacts import Values

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


class Starter:
    """Starts the programs of one run; closed, it leaves nothing behind."""

    def __init__(self, request: Request, watch: Watch) -> None:
        self.request = request
        self.processes = Processes(request, watch)
        self.containers = Containers(request.settings, request.run) if request.containers else None

    def environment(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """The variables that the programs of a run share."""
        if self.containers:
            return plan.environment(self.request.settings.state, names)
        return launches.environment(self.request.settings, self.request.code_paths, names, os.environ)

    def code(self, container: Container) -> Mapping[str, str]:
        """The digests of the files a program is made of; in a container they are the image's."""
        return {} if self.containers else cache.code(container, self.request.code_paths)

    def known(self, executor: Executor, given: Values) -> Executor:
        """An executor as the cache knows it: in containers by the digest of its image, not by its name alone."""
        container = executor.container
        if self.containers is None or container is None:
            return executor
        image = self.containers.known(placeholders.fill(container.image, given.parameters, {}))
        return executor.model_copy(update={"container": container.model_copy(update={"image": image})})

    def settled(
        self, executor: Executor, given: Values, parts: Mapping[str, str]
    ) -> tuple[str, Mapping[str, str]] | None:
        """The cache key of a task that ran, and its parts, where they are others: its image may have come meanwhile."""
        if self.containers is None or "image" not in parts:
            return None
        self.containers.forget()
        container = self.known(executor, given).container
        found = cache.of({**parts, "image": container.image if container else ""})
        return found.text, found.parts

    def start(self, launch: Launch) -> Handle:
        """Start a program. Raises RunError, OSError or ValueError when it cannot start."""
        if self.containers:
            return self.containers.start(launch)
        return self.processes.start(launch)

    def expect(self, container: Container, launch: Launch) -> None:
        """Prepare for a task that comes after the one just launched."""
        if self.containers is None:
            self.processes.expect(container, launch)

    def close(self) -> None:
        """End what was started only to start others."""
        self.processes.close()
        if self.containers:
            self.containers.close()
