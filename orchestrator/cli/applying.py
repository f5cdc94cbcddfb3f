"""`orc plan`, `orc apply`, `orc delete`: objects of a cluster from files, told object by object."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from orchestrator.cli import extras, options, screen, wording
from orchestrator.errors import Location, PipelineError, Problem

if TYPE_CHECKING:
    from orchestrator.cluster import Change, Cluster, Manifest, Progress, Ref, RefusedError
    from orchestrator.cluster.written import Written
    from orchestrator.settings import Settings

T = TypeVar("T")

CHANGES = 6
"""The exit code of `orc plan --exit-code` where something would change."""
_MARKS = {"create": ("+", "green"), "change": ("~", "yellow"), "delete": ("-", "red"), "unchanged": ("=", "dim")}
_DONE = {"create": "created", "change": "changed", "unchanged": "unchanged", "delete": "deleted"}
_COUNTED = {"create": "to create", "change": "to change", "delete": "to delete", "unchanged": "unchanged"}
_LONG = 60

_Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Manifests, endpoint files, folders of them, kustomizations; - is standard input.",
        show_default=False,
    ),
]
_Context = Annotated[
    str, typer.Option("--context", metavar="NAME", help="Of the kubeconfig; default: its current.", show_default=False)
]
_Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="For what names none; default: the context's.", show_default=False
    ),
]
_Set = Annotated[
    str,
    typer.Option("--set", metavar="NAME", help="Label all as one set, so that --prune knows it.", show_default=False),
]
_Force = Annotated[bool, typer.Option("--force", help="Take fields that others set.")]
_Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait at most.")]


def plan(
    files: _Files,
    *,
    context: _Context = "",
    namespace: _Namespace = "",
    owner: _Set = "",
    prune: Annotated[bool, typer.Option("--prune", help="Show what apply --prune would delete, too.")] = False,
    force: _Force = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"End with {CHANGES} where something would change.")
    ] = False,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Show what `orc apply` would do: each object, and each field with its value now and then."""
    _refuse_prune(prune, owner)
    settings = options.read()
    cluster = _connected(context, namespace, settings)
    written = _read(files, cluster, settings)
    changes = _asked(lambda: cluster.plan(_manifests(written), owner=owner, prune=prune, force=force), written)
    if format is options.Format.JSON:
        from orchestrator.cli import machine

        typer.echo(machine.text([_data(each) for each in changes]))
    else:
        _show(changes)
    if exit_code and any(each.action != "unchanged" for each in changes):
        raise typer.Exit(CHANGES)


def apply(
    files: _Files,
    *,
    context: _Context = "",
    namespace: _Namespace = "",
    owner: _Set = "",
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Then delete what is in the set and not in the files; never claims of volumes."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all is ready.")] = True,
    timeout: _Timeout = 300.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cluster check all, and keep nothing.")] = False,
    force: _Force = False,
) -> None:
    """Apply files to a cluster (server-side, every field checked) and wait until all is ready."""
    _refuse_prune(prune, owner)
    settings = options.read()
    cluster = _connected(context, namespace, settings)
    written = _read(files, cluster, settings)
    objects = _manifests(written)
    applied = _asked(lambda: cluster.apply(objects, owner=owner, dry_run=dry_run, force=force), written)
    ending = " (dry run)" if dry_run else ""
    for each in applied:
        _tell(f"{each.ref}: {_DONE[each.action]}{ending}", _MARKS[each.action][1])
    if prune:
        for gone in cluster.prune(owner, objects, dry_run=dry_run, seconds=timeout):
            _tell(f"{gone}: deleted{ending}", "red")
    if wait and not dry_run:
        from orchestrator.deployment.rollouts import Rollouts

        until = Rollouts(cluster)
        cluster.wait([each.object for each in applied], seconds=timeout, until=until, said=_progress())


def delete(
    files: _Files,
    *,
    context: _Context = "",
    namespace: _Namespace = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all is gone.")] = True,
    timeout: _Timeout = 120.0,
    everything: Annotated[
        bool, typer.Option("--all", help="Claims of volumes, namespaces and definitions, too: their data is lost.")
    ] = False,
) -> None:
    """Delete what files describe from a cluster, with all it made, and tell what is left. What holds data is kept."""
    from orchestrator.cluster import ref, removal
    from orchestrator.runs import objects

    settings = options.read()
    cluster = _connected(context, namespace, settings)
    written = objects.named(files, settings, cluster.namespace)
    kept = [each for each in written if each.manifest.get("kind") in removal.KEPT and not everything]
    going = [each.manifest for each in written if each not in kept]
    removed = _asked(lambda: cluster.delete(going, seconds=timeout if wait else 0), written)
    for each in removed:
        _tell(f"{each}: deleted", "red")
    known = [each.manifest for each in kept if cluster.catalogue.knows(each.manifest)]
    left = [live for each in known if (live := cluster.live(each))]
    for live in left:
        _tell(f"{ref(live)}: kept, it may hold data; --all deletes it", "yellow")
    if not removed and not left:
        typer.echo("nothing of it is there")


def _connected(context: str, namespace: str, settings: Settings) -> Cluster:
    with extras.needed("kubernetes"):
        from orchestrator import cluster

        return cluster.connect(
            context=context or settings.cluster_context,
            namespace=namespace or settings.cluster_namespace,
            environment=os.environ,
        )


def _read(files: Sequence[str], cluster: Cluster, settings: Settings) -> tuple[Written, ...]:
    from orchestrator.runs import objects

    # An endpoint's versions are looked up in the registry.
    with extras.needed("mlflow"):
        return objects.read(files, settings, cluster.namespace)


def _manifests(written: Sequence[Written]) -> list[Manifest]:
    return [each.manifest for each in written]


def _refuse_prune(prune: bool, owner: str) -> None:
    if prune and not owner:
        raise typer.BadParameter("--prune deletes what is missing of a set: name it by --set", param_hint="--prune")


def _asked(call: Callable[[], T], written: Sequence[Written]) -> T:
    """What the cluster answers; what it finds wrong in a file is told with the place there."""
    from orchestrator.cluster import RefusedError

    try:
        return call()
    except RefusedError as error:
        if all(each.is_of_file for each in error.problems):
            raise PipelineError([_problem(each, written) for each in error.problems]) from error
        raise


def _problem(error: RefusedError, written: Sequence[Written]) -> Problem:
    from orchestrator.cluster import ref

    named = [each for each in written if error.about and _same(ref(each.manifest), error.about)]
    message = error.said
    if not named:
        return Problem(Location(written[0].file if written else ""), message, error.hint)
    return Problem(named[0].at(error.field), message, error.hint)


def _same(one: Ref, other: Ref) -> bool:
    is_there = not one.namespace or one.namespace == other.namespace
    return (one.kind, one.name, one.group) == (other.kind, other.name, other.group) and is_there


def _show(changes: Sequence[Change]) -> None:
    from orchestrator.cluster import applying

    unchecked = {each.note for each in changes if each.note.startswith(applying.UNCHECKED)} | {""}
    for each in changes:
        mark, style = _MARKS[each.action]
        if each.action == "unchanged":
            continue
        note = "" if each.note in unchecked else f" ({each.note})"
        _tell(f"{mark} {each.action} {each.ref}{note}", style)
        for line in _fields(each):
            typer.echo(f"    {line}")
    counts = {action: sum(each.action == action for each in changes) for action in _MARKS}
    if counts["unchanged"] == len(changes):
        typer.echo(f"nothing to do: {wording.count(len(changes), 'object')} as in the files")
        return
    told = [f"{count} {_COUNTED[action]}" for action, count in counts.items() if count]
    typer.echo(", ".join(told))
    late = sum(bool(each.note) and each.note in unchecked for each in changes)
    if late:
        screen.tell([f"{late} of them not checked in full: their namespace or definition is made first"])


def _fields(change: Change) -> Iterator[str]:
    for each in change.fields:
        yield f"{each.path}: {_value(each.old)} -> {_value(each.new)}"


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = wording.printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    text = text.replace("\n", "\\n") or '""'
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _data(change: Change) -> Mapping[str, Any]:
    return {
        "action": str(change.action),
        "kind": change.ref.kind,
        "group": change.ref.group,
        "namespace": change.ref.namespace,
        "name": change.ref.name,
        "note": change.note,
        "fields": [{"path": each.path, "old": each.old, "new": each.new} for each in change.fields],
    }


def _progress() -> Callable[[Ref, Progress], None]:
    """Tells what is waited for, and that it is ready; what is ready at once needs no word."""
    waited: set[Ref] = set()

    def said(about: Ref, progress: Progress) -> None:
        if not progress.done:
            waited.add(about)
            _tell(f"{about}: {progress.text}", "dim")
        elif about in waited:
            _tell(f"{about}: ready", "green")

    return said


def _tell(text: str, style: str) -> None:
    from rich.text import Text

    screen.tell([Text(text, style=style)])
