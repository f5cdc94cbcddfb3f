"""`orc serve` and `orc endpoints`: the model server of this machine."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, manual, options, screen
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.settings import Settings

app = typer.Typer(help="List and stop the endpoints of this machine.", rich_markup_mode=None, cls=manual.Group)


def serve(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Endpoint files to declare first.", show_default=False),
    ] = None,
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="The port; by default the first free one.", show_default=False),
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option("--grpc-port", min=1, max=65535, help="Answer V2 by gRPC, too, at this port.", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="How many processes answer.")] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="Ask for a token: any line of this file.", show_default=False),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--tls-cert", help="Speak TLS, with this certificate (PEM).", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--tls-key", help="The certificate's key (PEM).", show_default=False)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Be reached by others without token or TLS: something else guards it.")
    ] = False,
    memory: Annotated[
        str,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Keep models of at most this size loaded, such as 2Gi, those that were asked last.",
            show_default=False,
        ),
    ] = "",
    models: Annotated[
        int | None,
        typer.Option("--models", min=1, help="Keep the models of so many endpoints loaded.", show_default=False),
    ] = None,
) -> None:
    """Serve the declared endpoints in the foreground, until Ctrl-C.

    A FILE declares one more: a variant that names a registered model takes its champion.
    """
    settings = options.read()
    with extras.needed("serve"):
        from orchestrator.serving import quantity, server
        from orchestrator.serving.options import Options

    try:
        allowed = quantity.size(memory) if memory else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}: for example 512Mi or 2Gi", param_hint="--memory") from None
    about = Options(
        *(host, port, workers, token_file, certificate, key),
        insecure=insecure,
        memory=allowed,
        grpc_port=grpc_port,
        models=models,
    )
    if files and (running := _declare(files, settings)):
        typer.echo(f"the server that runs at {running} takes them up")
        return
    server.serve(settings.state, about)
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        # Model work that outlived its deadline cannot be stopped, and Python would wait for it.
        os._exit(0)


def _declare(files: Sequence[Path], settings: Settings) -> str:
    """Declare endpoint files, none when one of them is wrong; the URL of a server that runs already, or ""."""
    with extras.needed("mlflow"):
        from orchestrator.deployment import resolved
        from orchestrator.serving import declarations, local

        found = [resolved.of_file(file, settings) for file in files]
    for each in found:
        declarations.write(settings.state, each)
    running = local.find(settings.state)
    return running.url if running else ""


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, format: options.Listing = options.Format.TEXT) -> None:
    if context.invoked_subcommand is None:
        listing(format)


@app.command("list", cls=manual.Command)
def listing(format: options.Listing = options.Format.TEXT) -> None:
    """List the endpoints, what they serve and where."""
    from orchestrator.cli import machine

    settings = options.read()
    with extras.needed("serve"):
        from orchestrator.serving import local

    found = local.endpoints(settings.state)
    if format is options.Format.JSON:
        typer.echo(machine.text([dataclasses.asdict(each) for each in found]))
        return
    if not found:
        typer.echo("no endpoints; the component `deploy` declares one")
        return
    columns = [screen.Column(name) for name in ("endpoint", "state", "model", "version")]
    rows = [
        [each.name, "ready" if each.ready else "not ready", each.model, each.version, each.url or "-", each.reason]
        for each in found
    ]
    screen.table(
        [*columns, screen.Column("url", grows=True), screen.Column("note", grows=True)],
        rows,
        styles=["green" if each.ready else "yellow" for each in found],
        styled=1,
    )


def _complete(incomplete: str) -> list[str]:
    try:
        names = [path.stem for path in (options.read().state / "endpoints").glob("[!.]*.json")]
    except (OrchestratorError, OSError):
        return []
    return [name for name in sorted(names) if name.startswith(incomplete)]


@app.command(cls=manual.Command)
def stop(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The endpoint.", autocompletion=_complete, show_default=False)
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every endpoint, and the server.")] = False,
) -> None:
    """Stop an endpoint. Its model version stays in the registry."""
    if bool(name) == everything:
        raise typer.BadParameter("give the NAME of an endpoint, or --all", param_hint="NAME")
    settings = options.read()
    with extras.needed("serve"):
        from orchestrator.serving import local

    names = [each.name for each in local.endpoints(settings.state)] if everything else [name]
    for each in names:
        local.remove(settings.state, each)
        typer.echo(f"stopped {each}")
    if everything and local.stop(settings.state):
        typer.echo("stopped the server")


@app.command(cls=manual.Command)
def weights(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The endpoint.", autocompletion=_complete)],
    shares: Annotated[
        list[str], typer.Argument(metavar="VARIANT=WEIGHT...", help="Shares are weight / sum; others keep theirs.")
    ],
) -> None:
    """Share out the traffic of an endpoint anew while it is served; no request is lost."""
    settings = options.read()
    with extras.needed("serve"):
        from orchestrator.serving import local
        from orchestrator.serving import weights as given

    declaration = given.change(settings.state, name, given.parse(shares))
    server = local.find(settings.state)
    if server is not None:
        local.wait_ready(server.url, declaration)
    said = ", ".join(f"{variant} {100 * share:.3g}%" for variant, share in given.shares(declaration).items())
    typer.echo(f"{name}: {said}" + ("" if server else " (the server is not running)"))
