"""`orc gc`: remove what nothing refers to any more."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options

if TYPE_CHECKING:
    from orchestrator.history.collection import Freed


def gc(
    keep_runs: Annotated[
        int | None,
        typer.Option(
            "--keep-runs",
            metavar="N",
            min=0,
            help="Forget all but the latest N runs of each pipeline.",
            show_default=False,
        ),
    ] = None,
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="TIME", help="Forget runs that ended before: 30d.", show_default=False),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Remove what nothing refers to: artifacts, working folders, leftovers; with options, old runs too.

    Kept is what runs, the cache, the registry and endpoints refer to, and whatever a run that
    goes on may need. With both options a run must be allowed to go by both.
    """
    from orchestrator import runs
    from orchestrator.cli import history, machine
    from orchestrator.history import collection
    from orchestrator.history.retention import Rules

    settings = options.read()
    rules = Rules(keep_runs, _seconds(older_than))
    state = settings.state
    with history.recorded(state) as metadata:
        if metadata is None:
            typer.echo(f"nothing ran in {state} yet, so nothing is to be removed")
            return
        freed = collection.collect(
            metadata,
            state,
            rules,
            alive=runs.goes_on,
            beside=[*(state / "endpoints").glob("*.json"), *_database(settings.tracking_uri)],
            now=time.time(),
            trial=dry_run,
        )
    if format is options.Format.JSON:
        typer.echo(machine.text({**dataclasses.asdict(freed), "dry_run": dry_run}))
        return
    _tell(freed, trial=dry_run)


def _database(uri: str) -> list[Path]:
    """The files of the registry, where it is on this machine."""
    from orchestrator.registry import backend

    file = backend.sqlite_file(uri)
    return [file, file.with_name(f"{file.name}-wal")] if file else []


def _seconds(text: str) -> float | None:
    from orchestrator.pipeline import quantity

    try:
        return float(quantity.seconds(text)) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="--older-than") from error


def _tell(freed: Freed, *, trial: bool) -> None:
    from orchestrator.cli import wording

    counted = [
        (len(freed.runs), "run", "runs"),
        (freed.entries, "cache entry", "cache entries"),
        (freed.artifacts, "artifact", "artifacts"),
        (freed.folders, "folder", "folders"),
        (freed.leftovers, "leftover", "leftovers"),
    ]
    told = [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]
    if not told:
        typer.echo("nothing to remove")
        return
    if freed.runs:
        typer.echo("\n".join(f"{'would forget' if trial else 'forgot'} run {run}" for run in freed.runs))
    typer.echo(f"{'would remove' if trial else 'removed'} {', '.join(told)}: {wording.size(freed.size)}")
