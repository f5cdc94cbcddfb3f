"""`python -m orchestrator.serving --state DIR`: the model server as a process of its own."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import server


def main() -> int:
    """Serve until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.serving", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the state folder, such as .orc")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--detached", action="store_true", help="end when no endpoint is left")
    parser.add_argument("--fixed", action="store_true", help="end when a declaration cannot be loaded")
    given = parser.parse_args()
    try:
        server.serve(given.state, given.host, given.port, detached=given.detached, fixed=given.fixed)
    except OrchestratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not sys.exit: it waits for threads, and model work that outlived its deadline and the drain cannot be stopped.
    os._exit(code)
