"""`orc endpoint`: what can be said of an endpoint file without serving it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import advising, extras, files, manual, options

app = typer.Typer(help="Look at endpoint files: what they are on a cluster.", rich_markup_mode=None, cls=manual.Group)


class Server(StrEnum):
    """Who answers, on a cluster."""

    OURS = "orchestrator"
    TRITON = "triton"
    OPENVINO = "openvino"
    SKLEARN = "sklearn"


class Split(StrEnum):
    """Who shares requests out among variants, on a cluster."""

    SERVER = "server"
    CANARY = "canary"
    GRAPH = "graph"


_File = Annotated[Path, typer.Argument(metavar="FILE", help="An endpoint file.")]


@app.callback()
def _root() -> None: ...


@app.command(cls=manual.Command)
def render(
    file: _File,
    *,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Where it goes; default: the settings'.", show_default=False
        ),
    ] = "",
    server: Annotated[Server, typer.Option("--server", help="Ours, or one of KServe's own.")] = Server.OURS,
    storage: Annotated[
        str,
        typer.Option("--storage", metavar="URI", help="Where models lie for a server of KServe's.", show_default=False),
    ] = "",
    upload: Annotated[bool, typer.Option("--upload", help="Write the models there.")] = False,
    split: Annotated[
        Split,
        typer.Option("--split", help="Who shares requests out among variants: our server, a gateway, KServe's router."),
    ] = Split.SERVER,
    callers: Annotated[
        list[str] | None,
        typer.Option(
            "--caller", metavar="NAMESPACE", help="Whose pods may send requests, too; repeatable.", show_default=False
        ),
    ] = None,
    monitor: Annotated[
        bool, typer.Option("--monitor", help="With a ServiceMonitor of the Prometheus operator.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write here instead of printing.", show_default=False),
    ] = None,
) -> None:
    """Print the objects of Kubernetes that an endpoint is, for `kubectl apply`: KServe's and those around them."""
    settings = options.read()
    with extras.needed("mlflow"):
        from orchestrator.deployment import resolved, stored
        from orchestrator.serving.kserve import check, manifests, notes, objects, servers

        place = objects.Place(
            namespace or settings.cluster_namespace or "default",
            callers=tuple(callers or ()),
            server=servers.ALL[server],
            storage=storage,
        )
        declaration = resolved.for_cluster(file, settings, place, by=split.value)
        if monitor:
            check.check_watched(declaration.spec, place)
        watched = manifests.Monitor() if monitor else None
        found = manifests.render(declaration, place, by=split.value, monitor=watched)
        uris = stored.store(declaration, place) if upload else stored.places(declaration, place)
    said = "uploaded" if upload else "expected"
    for uri in uris:  # Beside what is printed, which is for kubectl.
        typer.echo(f"{said}: {uri}", err=True)
    for note in notes.notes(declaration.spec, place, split.value):
        typer.echo(f"note: {note}", err=True)
    files.give(_text(found), output)


app.command(cls=manual.Command)(advising.lint)


def _text(found: Sequence[Mapping[str, Any]]) -> str:
    import yaml

    class Whole(yaml.SafeDumper):
        """Says everything where it belongs, twice if need be."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  As PyYAML calls it.
            return True

    return str(yaml.dump_all(found, Dumper=Whole, sort_keys=False, allow_unicode=True, width=120))
