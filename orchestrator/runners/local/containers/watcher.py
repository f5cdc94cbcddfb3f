"""A small process beside a run: when the runner dies, whatever kills it, it ends the containers it left."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from orchestrator.runners.local.containers.engine import RUNNER, Engine

# It reads a line from the runner; without one, the runner was killed. What the engine was just making when that
# happened comes a moment later, so it looks until nothing has come for a while.
_SCRIPT = """
read -r said && exit 0
label=$1; shift
quiet=0
while [ "$quiet" -lt 5 ]; do
  found=$("$1" ps --all --quiet --filter "label=$label")
  if [ -n "$found" ]; then "$@" $found; quiet=0; else quiet=$((quiet + 1)); fi
  sleep 0.3
done
"""


@dataclass(slots=True)
class Watcher:
    """The process, and the pipe that closes when the runner is gone."""

    popen: subprocess.Popen[bytes]

    def close(self) -> None:
        """The run has ended by itself."""
        self.popen.communicate(b"ended\n")


def start(engine: Engine, runner: str) -> Watcher:
    """Watch over the containers of one runner."""
    popen = subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "orc-watcher", f"{RUNNER}={runner}", engine.program, *engine.remove],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
        start_new_session=True,
    )
    return Watcher(popen)
