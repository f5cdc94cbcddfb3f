"""What several commands take: a run, a task, a format; and their completion in the shell."""

from __future__ import annotations

import contextlib
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import settings
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings


class Format(StrEnum):
    """How a listing is printed."""

    TEXT = "text"
    JSON = "json"


def read() -> Settings:
    """The settings of this process."""
    try:
        folder = Path.cwd()
    except OSError as error:
        raise OrchestratorError(f"the working directory cannot be used: {error.strerror}") from error
    return settings.read(os.environ, folder)


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """The ids of the latest runs, each with its pipeline and how it ended."""
    """What a shell offers where a run is named."""
    # Completion must never print: whatever is wrong, there is nothing to offer.
    with contextlib.suppress(OrchestratorError, OSError):
        from orchestrator.cli import history, wording

        with history.recorded(read().state) as metadata:
            found = metadata.runs(50) if metadata else []
        listed = [(run.id, f"{run.pipeline}, {wording.look(run.status).words}") for run in found]
        offered = [("last", "the latest run"), *listed] if listed else []
        return [each for each in offered if each[0].startswith(incomplete)]
    return []


def complete_task(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the tasks of the run that was typed before, or of the latest."""
    with contextlib.suppress(OrchestratorError, OSError):
        from orchestrator.cli import history

        run = context.params.get("run") or "last"
        with history.needed(read().state, run) as metadata:
            names = {task.name for task in metadata.tasks(metadata.run(run).id)}
        return sorted(name for name in names if name.startswith(incomplete))
    return []


Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its id, the beginning of it, or `last`.", autocompletion=complete_run),
]
Task = Annotated[
    str, typer.Argument(metavar="TASK", help="One task of it.", autocompletion=complete_task, show_default=False)
]
Listing = Annotated[Format, typer.Option("--format", help="`json` is for machines.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, max=1024, help="How many tasks run at once.", show_default=False),
]
