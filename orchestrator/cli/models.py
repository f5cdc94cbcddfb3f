"""Model versions: what is registered, and the word of the person who approves."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, manual, options, screen

if TYPE_CHECKING:
    from orchestrator.registry import ModelVersion, Registry

app = typer.Typer(help="List model versions; approve or reject one.", cls=manual.Group)

_Reference = Annotated[
    str, typer.Argument(metavar="VERSION", help="A model version: penguins/3, models:/penguins/3 or penguins@champion.")
]
_Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the version.", show_default=False)]
_STYLES = {"approved": "green", "pending": "yellow", "rejected": "red"}


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, format: options.Listing = options.Format.TEXT) -> None:
    if context.invoked_subcommand is None:
        listing(format=format)


@app.command("list", cls=manual.Command)
def listing(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this model.", show_default=False)] = "",
    format: options.Listing = options.Format.TEXT,
) -> None:
    """List the registered models' versions, the newest last."""
    from orchestrator.cli import machine

    found = _registry().versions(name or None)
    if format is options.Format.JSON:
        typer.echo(machine.text([_data(each) for each in found]))
        return
    if not found:
        typer.echo("no model versions; the component `publish` makes one")
        return
    columns = [screen.Column(title) for title in ("version", "approval", "aliases", "made")]
    rows = [
        [
            f"{each.name}/{each.version}",
            str(each.approval),
            ", ".join(each.aliases) or "-",
            f"{each.created_at.astimezone():%Y-%m-%d %H:%M}",
            each.digest[:12],
            each.run or "-",
        ]
        for each in found
    ]
    styles = [_STYLES.get(each.approval, "") for each in found]
    screen.table([*columns, screen.Column("sha256"), screen.Column("run", grows=True)], rows, styles=styles, styled=1)


@app.command(cls=manual.Command)
def approve(version: _Reference, reason: _Reason = "") -> None:
    """Approve a model version, so that it can be deployed; a pending one gets its alias."""
    _told(_registry().approve(version, by=getpass.getuser(), reason=reason))


@app.command(cls=manual.Command)
def reject(version: _Reference, reason: _Reason = "") -> None:
    """Reject a model version: it is not deployed again, and loses its aliases; what serves it goes on and is named."""
    rejected = _registry().reject(version, by=getpass.getuser(), reason=reason)
    _told(rejected)
    for name in _serving(rejected):
        typer.echo(f"endpoint {name} still serves it; to end that: orc endpoints stop {name}")


def _registry() -> Registry:
    settings = options.read()
    with extras.needed("mlflow"):
        from orchestrator import registry

    return registry.open(settings.tracking_uri, state=settings.state)


def _serving(version: ModelVersion) -> list[str]:
    from orchestrator.serving import declarations

    state = options.read().state
    declared = {name: declarations.read(state, name) for name in declarations.names(state)}
    wanted = (version.name, version.version)
    return [
        name
        for name, each in declared.items()
        if each and wanted in {(one.model, one.version) for one in each.variants}
    ]


def _told(version: ModelVersion) -> None:
    aliases = f", {', '.join(version.aliases)}" if version.aliases else ""
    typer.echo(f"{version.name} version {version.version} is {version.approval}{aliases}")


def _data(version: ModelVersion) -> dict[str, object]:
    return {
        "name": version.name,
        "version": version.version,
        "approval": str(version.approval),
        "aliases": list(version.aliases),
        "digest": version.digest,
        "metrics": dict(version.metrics),
        "run": version.run,
        "created_at": version.created_at.isoformat(),
    }
