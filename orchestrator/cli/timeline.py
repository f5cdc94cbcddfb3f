"""`orc timeline`: a run as a picture of bars over time."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import files, options, screen


def timeline(
    run: options.Run = "last",
    format: Annotated[
        files.Picture | None,
        typer.Option("--format", help="Default: by the ending of OUT, else text.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write here instead of printing.", show_default=False),
    ] = None,
) -> None:
    """Draw when each task of a run was at work, its attempts, and what the run waited for."""
    from orchestrator.cli import chart, history
    from orchestrator.history import timeline as drawn

    settings = options.read()
    history.ask(settings, run)
    with history.needed(settings.state, run) as metadata:
        record = metadata.run(run)
        found = drawn.of(
            record,
            metadata.tasks(record.id),
            metadata.attempts(record.id),
            status=history.state_of(record),
            now=time.time(),
        )
    chosen = format or files.by_ending(output)
    if chosen is files.Picture.TEXT:
        width = screen.console().width if sys.stdout.isatty() and output is None else 80
        picture = chart.text(found, width=width, unicode=output is not None or screen.is_unicode())
    else:
        picture = {files.Picture.SVG: chart.svg, files.Picture.HTML: chart.html}[chosen](found)
    files.give(picture, output)
