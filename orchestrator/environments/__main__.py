"""Makes the environment a task needs, and becomes the task's program: `python -I __main__.py FILE`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    # Started by its path, so that it works in any folder and with any environment: only the package is added.
    sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

from orchestrator.environments import making


def main(file: str) -> None:
    """Make the environment and become the program. Exits with 1 when neither it nor this Python can run it."""
    told: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    spec = making.Spec(**told["spec"])
    words: list[str] = told["words"]
    environment = dict(os.environ)
    elsewhere = making.satisfied(spec, sys.executable)
    try:
        making.ensure(replace(spec, hasty=elsewhere))
    except making.NotMadeError as error:
        if not elsewhere:
            sys.exit(f"error: {error}")
        print(f"warning: {error.reason}; the environment of orc has it, so it runs in that", flush=True)
        words = [sys.executable if each == told["python"] else each for each in words]
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        environment["VIRTUAL_ENV"] = sys.prefix
        if sys.prefix == sys.base_prefix:
            del environment["VIRTUAL_ENV"]
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606  The program is the task's own.
    except OSError as error:
        sys.exit(f"error: it cannot be started: {words[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1])
