"""`orc schedules`: pipelines that Kubeflow Pipelines runs by the clock."""

from __future__ import annotations

import dataclasses
import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, manual, options, running, screen

if TYPE_CHECKING:
    from orchestrator.runners import kfp

app = typer.Typer(
    help="Have Kubeflow Pipelines run pipelines by the clock: list, create, pause.",
    rich_markup_mode=None,
    cls=manual.Group,
)

_FIELDS = 6
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, format: options.Listing = options.Format.TEXT) -> None:
    if context.invoked_subcommand is None:
        listing(format)


@app.command("list", cls=manual.Command)
def listing(format: options.Listing = options.Format.TEXT) -> None:
    """List the pipelines that run by the clock."""
    from orchestrator.cli import machine

    settings = options.read()
    with extras.needed("kubernetes"):
        from orchestrator.runs import scheduled

        found = scheduled.listed(settings)
    if format is options.Format.JSON:
        typer.echo(machine.text([dataclasses.asdict(each) for each in found]))
        return
    if not found:
        typer.echo("nothing runs by the clock; orc schedules create FILE --cron '0 3 * * *' starts something")
        return
    columns = [screen.Column(name) for name in ("name", "when", "state", "arguments")]
    columns[-1] = screen.Column("arguments", grows=True)
    rows = [[each.name, _when(each), _state(each), _arguments(each)] for each in found]
    screen.table(columns, rows, styles=["green" if each.enabled else "yellow" for each in found], styled=2)


@app.command(cls=manual.Command)
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file, or one compiled to IR.")],
    *,
    cron: Annotated[
        str, typer.Option("--cron", metavar="'M H D MON WD'", help="As in crontab, in UTC.", show_default=False)
    ] = "",
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="30m, 6h, 1d.", show_default=False)] = "",
    at: Annotated[
        str, typer.Option("--at", metavar="DATE", help="Once: 2027-01-31T06:00, your time.", show_default=False)
    ] = "",
    name: Annotated[
        str, typer.Option("--name", help="What it is called. Default: the pipeline's name.", show_default=False)
    ] = "",
    arg: running.Given = None,
    start: Annotated[str, typer.Option("--start", metavar="DATE", help="Not before.", show_default=False)] = "",
    end: Annotated[str, typer.Option("--end", metavar="DATE", help="Not after.", show_default=False)] = "",
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=10, help="How many of its runs may go on at once.")
    ] = 1,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Make up for runs that were missed.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Do not begin until `orc schedules resume`.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every task, whatever earlier runs made.")] = False,
    experiment: running.Experiment = "",
    unpinned: running.Unpinned = False,
    anyway: running.Anyway = False,
) -> None:
    """Have a pipeline run by the clock: give one of --cron, --every and --at.

    Every parameter needs a value: its default, or one given by --arg. One of the same name is
    replaced.
    """
    if sum(map(bool, (cron, every, at))) != 1:
        raise typer.BadParameter("give one of --cron, --every and --at", param_hint="--cron")
    given = running.pairs(arg or [])
    settings = options.read()
    from orchestrator.cli import cluster_running
    from orchestrator.runs import scheduled

    wish = scheduled.Wish(
        name,
        cron,
        _seconds(every),
        _moment("--at", at),
        _moment("--start", start),
        _moment("--end", end),
        catch_up,
        concurrency,
        not paused,
        not no_cache,
        experiment,
        unpinned,
        anyway,
    )
    with extras.needed("kubernetes"):
        made = scheduled.create(file, given, settings, wish, now=time.time(), said=cluster_running.Told())
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    when = f"once, at {at}" if at else _when(made.recurring)
    typer.echo(f"{made.recurring.name}: {when} ({_state(made.recurring)})")


@app.command(cls=manual.Command)
def pause(name: _Name) -> None:
    """Start no more runs until `orc schedules resume`; those that go on are left alone."""
    _switch(name, on=False)


@app.command(cls=manual.Command)
def resume(name: _Name) -> None:
    """Start runs again."""
    _switch(name, on=True)


@app.command(cls=manual.Command)
def delete(name: _Name) -> None:
    """Remove it; the runs it started stay."""
    settings = options.read()
    with extras.needed("kubernetes"):
        from orchestrator.runs import scheduled

        typer.echo(f"deleted {scheduled.delete(name, settings).name}")


def _switch(name: str, *, on: bool) -> None:
    settings = options.read()
    with extras.needed("kubernetes"):
        from orchestrator.runs import scheduled

        found = scheduled.switch(name, settings, on=on)
    typer.echo(f"{found.name}: {_when(found)} ({_state(found)})")


def _when(each: kfp.Scheduled) -> str:
    """When it runs, as one says it: KFP counts intervals in seconds, and begins every cron expression with them."""
    from orchestrator.cli import wording

    if found := re.fullmatch(r"every (\d+) s", each.trigger):
        return f"every {wording.duration(float(found[1]))}"
    words = each.trigger.split()
    return " ".join(words[1:]) if len(words) == _FIELDS and words[0] == "0" else each.trigger


def _state(each: kfp.Scheduled) -> str:
    return each.error or ("on" if each.enabled else "paused")


def _arguments(each: kfp.Scheduled) -> str:
    from orchestrator.cli import wording

    return wording.parameters(each.arguments)


def _seconds(text: str) -> int:
    from orchestrator.pipeline import quantity

    try:
        found = quantity.seconds(text) if text else 0
    except ValueError as error:
        raise typer.BadParameter(": ".join(map(str, error.args)), param_hint="--every") from error
    if text and not found:
        raise typer.BadParameter("expected a time that is not 0", param_hint="--every")
    return found


def _moment(option: str, text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no date: write 2027-01-31T06:00, with +00:00 if it is not your time"
        raise typer.BadParameter(message, param_hint=option) from error
