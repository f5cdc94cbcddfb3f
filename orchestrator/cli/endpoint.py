"""`orc endpoint`: what can be said of an endpoint file without serving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import extras, files, manual, options

app = typer.Typer(help="Look at endpoint files: what they are on a cluster.", rich_markup_mode=None, cls=manual.Group)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="An endpoint file.")]


@app.callback()
def _root() -> None: ...


@app.command(cls=manual.Command)
def render(
    file: _File,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Where it goes; default: the settings'.", show_default=False
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write here instead of printing.", show_default=False),
    ] = None,
) -> None:
    """Print the objects of Kubernetes that an endpoint is, for `kubectl apply`: KServe's and those around them."""
    import yaml

    settings = options.read()
    with extras.needed("mlflow"):
        from orchestrator.deployment import resolved
        from orchestrator.serving.kserve import objects

        found = resolved.manifests(file, settings, objects.Place(namespace or settings.cluster_namespace or "default"))
    files.give(yaml.safe_dump_all(found, sort_keys=False, allow_unicode=True, width=120), output)
