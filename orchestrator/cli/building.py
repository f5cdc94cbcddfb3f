"""`orc build`: the images a pipeline runs in, built, pushed, and locked by their digests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options, screen, wording
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.images.building import Asked, Done, Told
    from orchestrator.images.lock import Locked
    from orchestrator.runs.built import Group


_Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="A pipeline file, a component (its name or folder), `server` or `mlflow`.",
        show_default=False,
    ),
]
_Push = Annotated[bool, typer.Option("--push", help="Push to the registry, and lock by its digests.")]
_Registry = Annotated[
    str,
    typer.Option("--registry", metavar="HOST/PATH", help="Default: the setting images_registry.", show_default=False),
]
_More = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="[NAME,...=]PACKAGE", help="A package more, in all images or in these."),
]
_Base = Annotated[
    str,
    typer.Option("--base", metavar="IMAGE", help="What images begin from; best with its digest.", show_default=False),
]
_Platform = Annotated[
    str,
    typer.Option(
        "--platform", metavar="OS/ARCH", help="E.g. linux/amd64. Default: this machine's.", show_default=False
    ),
]
_Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="One more tag for each image.")]
_Lock = Annotated[
    Path | None,
    typer.Option("--lock", metavar="FILE", help="Lock all here, not beside each pipeline.", show_default=False),
]
_Engine = Annotated[
    str,
    typer.Option("--engine", metavar="PROGRAM", help="docker, podman, buildah, or a path to one.", show_default=False),
]
_Network = Annotated[
    str,
    typer.Option(
        "--network", metavar="NAME", help="The network of builds, as the engine names it.", show_default=False
    ),
]
_Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="Certificates a build trusts. Default: $SSL_CERT_FILE.", show_default=False
    ),
]
_Rebuild = Annotated[bool, typer.Option("--rebuild", help="Build anew what is there, on the newest base.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be built; touch nothing.")]


def build(
    targets: _Targets,
    *,
    push: _Push = False,
    registry: _Registry = "",
    more: _More = None,
    base: _Base = "",
    platform: _Platform = "",
    tag: _Tag = None,
    lock: _Lock = None,
    engine: _Engine = "",
    network: _Network = "",
    ca: _Ca = None,
    rebuild: _Rebuild = False,
    dry_run: _DryRun = False,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Build the images a pipeline runs in, and write their digests to its lock file.

    What has not changed is not built again. A cluster needs --push; `orc run --containers`
    does not.
    """
    from orchestrator.runs import built

    settings = options.read()
    place = registry or settings.images_registry
    if push and not place:
        hint = "--registry HOST/PATH, or images_registry in orc.toml"
        raise OrchestratorError("--push needs a registry", hint=hint)
    if ca and not ca.is_file():
        raise OrchestratorError(f"--ca {ca}: there is no such file")
    groups = built.groups(targets, built.Wish(base, platform, tuple(more or ())), lock)
    if dry_run:
        _plan(groups, place, format)
        return
    from orchestrator.images import building
    from orchestrator.images import engine as engines

    asked = building.Asked(
        engines.find(engine or settings.containers_engine),
        settings.state / "builds",
        place,
        push=push,
        tags=tuple(tag or ()),
        network=network,
        ca=ca,
        anew=rebuild,
    )
    done = [each for group in groups for each in _made(group, asked, quiet=format is options.Format.JSON)]
    if format is options.Format.JSON:
        _tell_json(done)


def _made(group: Group, asked: Asked, *, quiet: bool) -> list[Done]:
    """Build the images of a group and write its lock. Nothing is locked unless all of them were built."""
    from orchestrator.images import building
    from orchestrator.runs import built

    done = []
    held: dict[str, Locked] = {}
    for each in _shown(building.build(group.recipes, asked), quiet=quiet):
        held[each.name] = each.locked
        done.append(each)
    for name in group.given:
        found = building.given(name, asked.engine, asked.environment)
        if found:
            held[name] = found
        if not quiet:
            typer.echo(
                f"{name}: kept as it is, {found.reference if found else 'by its name: no registry tells its digest'}"
            )
    if group.file:
        built.write(group.file, built.locked(group, held))
        if not quiet:
            typer.echo(f"wrote {group.file}")
            if not asked.push and group.recipes:
                typer.echo("these images are on this machine alone; a cluster needs `orc build --push`")
    return done


def _shown(told: Iterator[Told], *, quiet: bool) -> Iterator[Done]:
    """What was done, told as it goes on: on one line of a terminal, or line by line."""
    from contextlib import nullcontext

    from orchestrator.images.building import Done

    live = screen.is_terminal() and not quiet
    with screen.console().status("") if live else nullcontext() as status:
        for each in told:
            if isinstance(each, Done):
                if not quiet:
                    typer.echo(_line(each))
                yield each
            elif status:
                status.update(f"{each.name}: {each.what}")
            elif not quiet:
                typer.echo(f"{each.name}: {each.what}")


def _line(done: Done) -> str:
    size = f", {wording.size(done.size)}" if done.size else ""
    return f"{done.name}: {done.how} in {wording.duration(done.seconds)}{size}\n  {done.locked.reference}"


def _plan(groups: list[Group], registry: str, format: options.Format) -> None:
    from orchestrator.cli import machine
    from orchestrator.images import reference

    rows = [
        {
            "image": each.name,
            "reference": reference.placed(each.name, registry, each.key),
            "key": each.key,
            "files": len(each.copies) + len(each.texts),
            "packages": each.texts["requirements.txt"].splitlines(),
            "locked": _is_locked(group, each.name, each.key),
        }
        for group in groups
        for each in group.recipes
    ]
    given = [name for group in groups for name in group.given]
    if format is options.Format.JSON:
        typer.echo(machine.text([*rows, *({"image": name, "given": True} for name in given)]))
        return
    columns = [screen.Column("image", grows=True), screen.Column("key"), screen.Column("files", right=True)]
    columns.append(screen.Column("lock"))
    table = [
        [str(row["image"]), str(row["key"]), str(row["files"]), "as it is" if row["locked"] else "to be built"]
        for row in rows
    ]
    screen.table(columns, [*table, *([name, "-", "-", "kept as it is"] for name in given)])


def _is_locked(group: Group, name: str, key: str) -> bool:
    held = group.before.images.get(name) if group.before else None
    return held is not None and held.key == key


def _tell_json(done: list[Done]) -> None:
    from orchestrator.cli import machine

    told = [
        {
            "image": each.name,
            "reference": each.locked.reference,
            "key": each.locked.key,
            "pushed": each.locked.is_pushed,
            "how": each.how,
            "bytes": each.size,
        }
        for each in done
    ]
    typer.echo(machine.text(told))
