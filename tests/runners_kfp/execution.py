"""A run of the test server: our local runner in a process of its own, which tells its events.

Processes are forked from one that has imported what they need: that takes longer than most runs of tests.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["orchestrator.runs", "orchestrator.runners.local", "tests.runners_kfp.execution"])


@dataclass
class Execution:
    """A run that goes on, and what it has told so far."""

    folder: Path
    run: str
    workflow: str
    created: float = field(default_factory=time.time)
    events: list[Any] = field(default_factory=list)
    process: BaseProcess | None = None
    listener: threading.Thread | None = None
    terminated: bool = False
    attempt: int = 0

    @property
    def ended(self) -> bool:
        """Whether its process is gone, and all that it told was heard."""
        alive = [each for each in (self.process, self.listener) if each and each.is_alive()]
        return self.process is not None and not alive

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> None:
        """Begin, or begin again with what went well before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pipeline.yaml").write_text(pipeline, encoding="utf-8")
        (self.folder / "request.json").write_text(json.dumps(dict(parameters)), encoding="utf-8")
        self.attempt += 1
        self.terminated = False
        self.events = [] if self.attempt == 1 else [each for each in self.events if _went_well(each)]
        reader, writer = _CONTEXT.Pipe(duplex=False)
        state = str(self.folder.parent / "state")
        self.process = _CONTEXT.Process(target=work, args=(str(self.folder), self.run, state, writer), daemon=False)
        self.process.start()
        writer.close()
        self.listener = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self.listener.start()

    def terminate(self) -> None:
        """Have it end."""
        self.terminated = True
        if self.process and self.process.is_alive():
            self.process.terminate()

    def kill(self) -> None:
        """End it now, with all that it started."""
        if self.process and self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid or 0, signal.SIGKILL)
            self.process.join(10)

    def _listen(self, reader: Connection) -> None:
        with contextlib.suppress(EOFError, OSError), reader:
            while True:
                self.events.append(reader.recv())


def _went_well(event: Any) -> bool:
    from orchestrator.runners.events import TaskFinished

    return isinstance(event, TaskFinished) and event.status.good


def work(folder: str, run: str, state: str, told: Connection) -> None:
    """Run it, or go on with it, and tell."""
    from orchestrator import runs, settings

    os.setsid()
    os.environ["ORC_STATE"] = state
    place = Path(folder)
    given = json.loads((place / "request.json").read_text(encoding="utf-8"))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    found = settings.read(os.environ, place)
    begun = place / "begun"
    if begun.exists():
        events = runs.resume(run, found)
    else:
        begun.touch()
        events = runs.start(place / "pipeline.yaml", texts, found, runs.Options(run=run))
    for event in events:
        told.send(event)
