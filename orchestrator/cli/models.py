"""Model versions: what is registered, and the word of the person who approves."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, manual, options, screen

if TYPE_CHECKING:
    from orchestrator.deployment.imported import Imported
    from orchestrator.registry import ModelVersion, Registry

app = typer.Typer(help="List model versions; approve or reject one; bring one with its own code.", cls=manual.Group)

_Reference = Annotated[
    str, typer.Argument(metavar="VERSION", help="A model version: penguins/3, models:/penguins/3 or penguins@champion.")
]
_Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the version.", show_default=False)]


class _Approval(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"


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


@app.command("import", cls=manual.Command)
def bring(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder with the model's code and files, or a tar.gz of one.")
    ],
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The registered model it becomes a version of.")],
    entry: Annotated[
        str,
        typer.Option(metavar="FILE[:CLASS]", help="What answers, where several could.", show_default=False),
    ] = "",
    example: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="A request as clients send it; by default example.json or example.csv in SOURCE.",
        ),
    ] = None,
    content_type: Annotated[
        str,
        typer.Option(metavar="TYPE", help="The example's content type; else its suffix says it.", show_default=False),
    ] = "",
    signature: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="JSON: the columns that requests must have; by default those of the example, unchecked.",
        ),
    ] = None,
    approval: Annotated[_Approval, typer.Option(help="What is decided about the version.")] = _Approval.PENDING,
    alias: Annotated[str, typer.Option(metavar="ALIAS", help="What it is called once it is approved.")] = "champion",
    reason: _Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only try it; register nothing.")] = False,
) -> None:
    """Register a model that brings its own code: inference.py with model_fn, or a class with load and predict.

    It is started in a process of its own and must answer its example first, with all it requires installed here.
    """
    with extras.needed("serve", "mlflow"):
        from orchestrator.deployment import imported
        from orchestrator.model.package import Wanted

    wanted = Wanted(source, entry, example, content_type, signature)
    decided = imported.Registration(name, approval.value, alias, getpass.getuser(), reason)
    brought = imported.bring(wanted, decided, None if dry_run else _registry())
    for line in _answered(brought):
        typer.echo(line)
    if brought.version is None:
        typer.echo("nothing was registered")
        return
    _told(brought.version)
    if approval is _Approval.PENDING:
        typer.echo(f"to deploy it: orc models approve {name}/{brought.version.version}")


def _answered(brought: Imported) -> list[str]:
    """What was found and tried, a line each."""
    about, tried = brought.package, brought.checked
    columns = ", ".join(f"{column.name} ({column.type})" for column in brought.manifest.signature.inputs)
    return [
        f"entry:    {about.entry}",
        f"requires: {', '.join(about.requirements) or 'nothing'}",
        f"answered: {' '.join(tried.answer.split())} ({tried.content_type}, ready after {tried.seconds:.1f} s)",
        f"columns:  {columns if tried.takes_tensors else tried.reason}",
    ]


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
        "onnx": {"digest": version.onnx.digest, **version.onnx.gate} if version.onnx else None,
        "metrics": dict(version.metrics),
        "run": version.run,
        "created_at": version.created_at.isoformat(),
    }
