"""Runs a pipeline in a process of its own, to be killed: `harness.py FOLDER STATE start|cold|resume [RUN]`."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator import runs, settings
from orchestrator.runners.events import RunFinished


def main(folder: Path, state: str, verb: str, run: str = "last") -> None:
    found = settings.read({"ORC_STATE": state}, folder)
    if verb in ("start", "cold"):
        options = runs.Options(run=run, cache=False, cold=verb == "cold")
        events = runs.start(folder / "pipeline.yaml", {}, found, options)
    else:
        events = runs.resume(run, found)
    for event in events:
        print(type(event).__name__, getattr(event, "task", ""), getattr(event, "status", ""), flush=True)
        if isinstance(event, RunFinished):
            print("ended", event.status, event.reason, dict(event.outputs.parameters), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
