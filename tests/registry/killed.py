"""Publishes, and is killed on the way: not a test module but a program of its own, because it forks.

`killed STATE ROOT MODEL` copies the state to ROOT/commit-1, -2, ... and dies at the first, second, ... commit in it,
until one lives to the end. `killed - ROOT MODEL SECONDS...` dies so many seconds after it began in ROOT/after-0, ...
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator import registry
from orchestrator.registry import backend

Fuse = Callable[[], None]


def publish(state: Path, model: Path) -> None:
    registry.open(f"sqlite:///{state}/mlflow.db").create(
        "penguins",
        model=model,
        digest="sha256:new",
        metrics={"f1": 0.97},
        parameters={"seed": 0},
        tags={},
        approval="approved",
        reason="f1 = 0.97 > 0.85",
        run="run-new",
        alias="champion",
    )


def at_commit(number: int) -> Fuse:
    """Die when SQLAlchemy is about to commit for the `number`th time."""

    def light() -> None:
        from sqlalchemy import Engine, event

        left = [number]

        def burn(_: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "commit", burn)

    return light


def forked(state: Path, model: Path, *, light: Fuse = lambda: None, after: float | None = None) -> bool:
    """Publish in a child; whether it lived to the end."""
    child = os.fork()
    if child == 0:
        light()
        publish(state, model)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    before, root, model = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    backend.client("sqlite://")  # loads MLflow, once for all children; a database in memory
    number = 1
    while True:
        state = root / f"commit-{number}"
        shutil.copytree(before, state)
        if forked(state, model, light=at_commit(number)):
            return
        number += 1


def after() -> None:
    """For each of the given seconds, kill a publication in a state that may be there already."""
    root, model = Path(sys.argv[2]), Path(sys.argv[3])
    backend.client("sqlite://")
    for number, seconds in enumerate(sys.argv[4:]):
        forked(root / f"after-{number}", model, after=float(seconds))


if __name__ == "__main__":
    after() if len(sys.argv) > 4 else main()
