"""`orc environments`: what was installed for programs, and made ready before there is no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import manual, options, screen, wording
from orchestrator.errors import OrchestratorError

app = typer.Typer(help="List, make and remove environments of programs.", rich_markup_mode=None, cls=manual.Group)
_SHOWN = 12


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, format: options.Listing = options.Format.TEXT) -> None:
    if context.invoked_subcommand is None:
        listing(format)


@app.command("list", cls=manual.Command)
def listing(format: options.Listing = options.Format.TEXT) -> None:
    """List the environments, what is installed in each and how large it is."""
    from orchestrator import digest
    from orchestrator.cli import machine
    from orchestrator.environments import place

    root = options.read().environments
    found = [(each, digest.size(each.folder)) for each in place.kept(root)]
    if format is options.Format.JSON:
        told = [
            {
                "name": each.name,
                "folder": str(each.folder),
                "packages": each.told,
                "python": each.python,
                "made": each.made.isoformat(),
                "complete": each.complete,
                "bytes": size,
            }
            for each, size in found
        ]
        typer.echo(machine.text(told))
        return
    if not found:
        typer.echo(f"no environments in {root}; a task that needs one makes it")
        return
    columns = [screen.Column("environment"), screen.Column("python"), screen.Column("made")]
    columns += [screen.Column("size", right=True), screen.Column("packages", grows=True)]
    rows = [
        [
            each.name[:_SHOWN],
            each.python or "-",
            wording.moment(each.made.timestamp()),
            wording.size(size),
            each.told if each.complete else "(not complete)",
        ]
        for each, size in found
    ]
    screen.table(columns, rows)


@app.command(cls=manual.Command)
def make(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline, as `orc run` takes it.")],
) -> None:
    """Make every environment the tasks of a pipeline need; its runs then need no network for it."""
    from orchestrator import runs
    from orchestrator.runners.local import needs

    settings = options.read()
    loaded = runs.load(file)
    found = needs.environments(loaded.pipeline, loaded.code_paths, settings.environments)
    if not found:
        typer.echo("its tasks run in the environment of orc itself; there is nothing to make")
        return
    for environment, told in found:
        if environment.is_ready:
            typer.echo(f"ready: {told}")
            continue
        typer.echo(f"making: {told}")
        environment.make()
        typer.echo(f"made: {environment.folder}")


def _complete(incomplete: str) -> list[tuple[str, str]]:
    from orchestrator.environments import place

    try:
        found = list(place.kept(options.read().environments))
    except (OrchestratorError, OSError):
        return []
    return [(each.name[:_SHOWN], each.told) for each in found if each.name.startswith(incomplete)]


@app.command(cls=manual.Command)
def remove(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The environment.", autocompletion=_complete, show_default=False),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every environment.")] = False,
) -> None:
    """Remove an environment. A task that needs it makes it again; one that runs in it now fails."""
    from orchestrator.environments import place

    if bool(name) == everything:
        raise typer.BadParameter("give the NAME of an environment, or --all", param_hint="NAME")
    root = options.read().environments
    for each in list(place.kept(root)) if everything else [place.named(root, name)]:
        place.remove(each)
        typer.echo(f"removed {each.name[:_SHOWN]}{f': {each.told}' if each.told else ''}")
