"""One look at a run: its state, and what the server tells of its tasks, which depends on the server's generation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp import classic, native, requests, seen
from orchestrator.runners.kfp.client import Client, MissingError, RefusedError
from orchestrator.runners.kfp.seen import SeenRun

_DENIED = (401, 403)


@dataclass(slots=True)
class Eye:
    """Looks at one run, and remembers which generation of servers answers."""

    client: Client
    pipeline: PipelineSpec
    platform: PlatformSpec
    is_native: bool | None = None
    """Whether the server has given up ML Metadata; None until that is known."""

    def look(self, identity: str) -> SeenRun:
        """The run now. Raises MissingError when there is none."""
        told = self.client(requests.run(identity))
        run = seen.of(told)
        details = (told.get("run_details") or {}).get("task_details")
        if details:
            return replace(run, tasks=classic.tasks(details, self.pipeline, self.platform))
        if self.is_native is False:
            return run
        try:
            tasks = native.tasks(self.client.pages(requests.tasks(identity), "tasks"), self.pipeline)
        except MissingError:
            self.is_native = False
            return run
        except RefusedError as error:
            if error.status in _DENIED or self.is_native:
                raise
            self.is_native = False
            return run
        self.is_native = True
        return replace(run, tasks=tasks)
