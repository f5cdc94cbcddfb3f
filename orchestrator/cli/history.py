"""`orc runs`, `show`, `logs`: what ran, what came of it, what it said."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, options, screen
from orchestrator.errors import NotFoundError

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.stores.metadata import Metadata, RunRecord


def runs(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1_000_000, help="How many, newest first.")
    ] = 20,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """List the latest runs."""
    from orchestrator.cli import machine, wording

    settings = options.read()
    with recorded(settings.state) as metadata:
        listed = [(run, state_of(run)) for run in metadata.runs(limit)] if metadata else []
    if format is options.Format.JSON:
        typer.echo(machine.text([machine.run(run, status) for run, status in listed]))
        return
    if not listed:
        typer.echo(f"no runs in {settings.state} yet; orc run FILE starts one")
        return
    now = time.time()
    columns = [
        screen.Column("run"),
        screen.Column("pipeline"),
        screen.Column("status"),
        screen.Column("started"),
        screen.Column("took", right=True),
    ]
    somewhere = any(run.remote for run, _ in listed)
    columns += [screen.Column("on")] if somewhere else []
    rows, styles = [], []
    for run, status in listed:
        look = wording.look(status)
        mark = wording.mark(status, unicode=screen.is_unicode())
        ended = run.finished or (None if status == "RUNNING" else run.started)
        took = wording.between(run.started, ended, now) if run.finished or status == "RUNNING" else ""
        row = [run.id, run.pipeline, f"{mark} {look.words}", wording.moment(run.started), took]
        rows.append([*row, run.on] if somewhere else row)
        styles.append(look.colour)
    screen.table(columns, rows, styles=styles, styled=2)
    unwatched = [run.id for run, status in listed if status == wording.DETACHED]
    if unwatched:
        typer.echo(f"\nnot watched any more: `orc show {unwatched[0]}` asks how it is, `orc resume` watches it again")


def show(run: options.Run = "last", task: options.Task = "", format: options.Listing = options.Format.TEXT) -> None:
    """Show a run: its tasks, what came of them and where it is; with TASK, everything about that one."""
    from orchestrator.cli import details, machine
    from orchestrator.history import labels

    settings = options.read()
    ask(settings, run)
    with needed(settings.state, run) as metadata:
        record = metadata.run(run)
        tasks, attempts = metadata.tasks(record.id), metadata.attempts(record.id)
    chosen = details.named(tasks, task) if task else tasks
    if format is options.Format.JSON:
        given = labels.of(record)
        rows = [{**machine.task(each), **labels.told(given, each.path)} for each in chosen]
        told = {**machine.run(record, state_of(record)), "tasks": rows}
        typer.echo(machine.text(told))
        return
    lines = details.of_tasks(chosen, attempts) if task else details.of_run(record, tasks, status=state_of(record))
    screen.tell(lines)


def logs(
    run: options.Run = "last",
    task: options.Task = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run, or TASK, ends; from any terminal.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last lines of each log.", show_default=False),
    ] = None,
) -> None:
    """Print what the tasks of a run wrote."""
    from orchestrator.cli import log

    settings = options.read()
    with needed(settings.state, run) as metadata:
        record = metadata.run(run)
        if record.remote:
            from orchestrator.cli import podlog

            code = podlog.show(record, metadata.tasks(record.id), settings, task, follow=follow, lines=lines)
            raise typer.Exit(code)
        if follow:
            is_over = lambda: state_of(metadata.run(record.id)) != "RUNNING"  # noqa: E731
            log.follow(metadata, record.id, task, is_over=is_over, lines=lines)
        else:
            log.show(metadata, record.id, task, lines=lines)


@contextlib.contextmanager
def recorded(state: Path) -> Iterator[Metadata | None]:
    """The record of runs, where there is one: looking at it never creates it."""
    from orchestrator.stores import metadata

    file = state / "state.db"
    if not file.is_file():
        yield None
        return
    with contextlib.closing(metadata.Metadata(file)) as found:
        yield found


@contextlib.contextmanager
def needed(state: Path, run: str) -> Iterator[Metadata]:
    """The record of runs, which a run is looked for in."""
    with recorded(state) as metadata:
        if metadata is None:
            raise NotFoundError("run", run, hint=f"nothing ran in {state} yet; ORC_STATE names another folder")
        yield metadata


def ask(settings: Settings, run: str) -> None:
    """Bring a run on a cluster that nobody watches up to date; where it cannot be asked, what is recorded must do."""
    with needed(settings.state, run) as metadata:
        record = metadata.run(run)
    if not record.remote or state_of(record) == "RUNNING" or record.status != "RUNNING":
        return
    from orchestrator.runs import submitted

    with extras.needed("kubernetes"):
        why = submitted.look(record.id, settings)
    if why:
        print(f"warning: as it was when it was last watched; {why}", file=sys.stderr)


def state_of(record: RunRecord) -> str:
    """The status as recorded, unless the process that would have changed it is gone."""
    if record.status != "RUNNING":
        return record.status
    from orchestrator import runs
    from orchestrator.cli import wording
    from orchestrator.stores.records import LOCAL

    if runs.is_alive(record):
        return record.status
    return wording.INTERRUPTED if record.on == LOCAL else wording.DETACHED
