"""`python -m orchestrator.serving --state DIR`: the model server as a process of its own."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import options, quantity, server
from orchestrator.serving.options import Options


def main() -> int:
    """Serve until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.serving", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the state folder, such as .orc")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--token-file", type=Path, default=None)
    parser.add_argument("--tls-cert", type=Path, default=None, dest="certificate")
    parser.add_argument("--tls-key", type=Path, default=None, dest="key")
    parser.add_argument("--insecure", action="store_true", help="others may reach it: something else guards it")
    parser.add_argument("--memory", type=quantity.size, default=None, help="of loaded models, such as 2Gi")
    parser.add_argument("--models", type=int, default=None, help="how many endpoints have theirs loaded")
    parser.add_argument("--grpc-port", type=int, default=None)
    parser.add_argument("--detached", action="store_true", help="end when no endpoint is left")
    parser.add_argument("--fixed", action="store_true", help="end when a declaration cannot be loaded")
    # The first process of several starts the others with these.
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--options", help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    state, place, told = given.pop("state"), given.pop("worker"), given.pop("options")
    try:
        if place is not None:
            from orchestrator.serving import worker

            slot, listener, until, loaded_first = map(int, place.split(":"))
            handed = worker.Handed(slot, listener, until, bool(loaded_first))
            return worker.of_fleet(state, options.load(told), handed)
        server.serve(state, Options(**given))
    except OrchestratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not sys.exit: it waits for threads, and model work that outlived its deadline and the drain cannot be stopped.
    os._exit(code)
