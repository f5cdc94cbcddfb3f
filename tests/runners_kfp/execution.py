"""A run of the test server: our local runner in a process of its own, which tells its events as lines.

`python -m tests.runners_kfp.execution FOLDER RUN` reads `FOLDER/pipeline.yaml` and `FOLDER/request.json`.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Execution:
    """A run that goes on, and what it has told so far."""

    folder: Path
    run: str
    workflow: str
    created: float = field(default_factory=time.time)
    events: list[Any] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    terminated: bool = False
    attempt: int = 0

    def start(self, pipeline: str, parameters: Mapping[str, Any], ended: Callable[[], None] = lambda: None) -> None:
        """Begin, or begin again with what went well before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pipeline.yaml").write_text(pipeline, encoding="utf-8")
        (self.folder / "request.json").write_text(json.dumps(dict(parameters)), encoding="utf-8")
        self.attempt += 1
        self.terminated = False
        self.events = [] if self.attempt == 1 else [each for each in self.events if _went_well(each)]
        command = [sys.executable, "-m", "tests.runners_kfp.execution", str(self.folder), self.run]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ORC_STATE": str(self.folder.parent / "state")}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, start_new_session=True
        )
        threading.Thread(target=self._listen, args=(self.process, ended), daemon=True).start()

    def terminate(self) -> None:
        """Have it end."""
        self.terminated = True
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now, with all that it started."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def _listen(self, process: subprocess.Popen[str], ended: Callable[[], None]) -> None:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("event "):
                self.events.append(pickle.loads(base64.b64decode(line[6:])))
        process.wait()
        process.stdout.close()
        ended()


def _went_well(event: Any) -> bool:
    from orchestrator.runners.events import TaskFinished

    return isinstance(event, TaskFinished) and event.status.good


def main(folder: Path, run: str) -> None:
    """Run it, or go on with it, and tell."""
    from orchestrator import runs, settings

    given = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    found = settings.read(os.environ, folder)
    begun = folder / "begun"
    if begun.exists():
        events = runs.resume(run, found)
    else:
        begun.touch()
        events = runs.start(folder / "pipeline.yaml", texts, found, runs.Options(run=run))
    for event in events:
        print("event", base64.b64encode(pickle.dumps(event)).decode("ascii"), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
