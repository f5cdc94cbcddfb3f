"""`orc run`, `resume`, `cancel`: start a run, watch it, end it."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, options, screen
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.cli.state import RunState
    from orchestrator.runners.events import Event
    from orchestrator.runs import Wish
    from orchestrator.settings import Settings


class Where(StrEnum):
    """Where a run's tasks run."""

    LOCAL = "local"
    KFP = "kfp"


class View(StrEnum):
    """How a run is shown while it goes on."""

    LIVE = "live"
    PLAIN = "plain"
    JSON = "json"


_View = Annotated[
    View | None,
    typer.Option(
        "--format", help="`json` prints one event a line. Default: live in a terminal, else plain.", show_default=False
    ),
]


Given = Annotated[
    list[str] | None,
    typer.Option("--arg", "-a", metavar="NAME=VALUE", help="A parameter's value; may be given again."),
]
Experiment = Annotated[
    str,
    typer.Option(
        "--experiment",
        metavar="NAME",
        help="On kfp: its group of runs. Default: the pipeline's name.",
        show_default=False,
    ),
]
Unpinned = Annotated[
    bool, typer.Option("--unpinned", help="On kfp: take images by their names where no digest is known.")
]
Anyway = Annotated[bool, typer.Option("--anyway", help="On kfp: start it though some of it is known to fail there.")]


_File = Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file, or one compiled to IR.")]
_NoCache = Annotated[bool, typer.Option("--no-cache", help="Run every task, whatever earlier runs made.")]
_Containers = Annotated[bool, typer.Option("--containers", help="Run tasks in their images: Docker or Podman.")]
_Cold = Annotated[bool, typer.Option("--cold", help="Start every task from scratch, none from a warm process.")]
_Again = Annotated[
    str,
    typer.Option(
        "--resume",
        metavar="[RUN]",
        help="A new run that takes over what finished well in RUN, or in the last, and would be the same.",
        autocompletion=options.complete_run,
        show_default=False,
    ),
]
_Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="TASK,...", help="Run these tasks, whatever is cached.")
]
_Since = Annotated[
    list[str] | None, typer.Option("--from", metavar="TASK,...", help="Run these and all that come after them.")
]
_Of = Annotated[
    str,
    typer.Option(
        "--of",
        metavar="RUN",
        help="Where --only and --from take inputs from. Default: the last run that has them.",
        autocompletion=options.complete_run,
        show_default=False,
    ),
]
_On = Annotated[Where, typer.Option("--on", help="Where: this machine, or Kubeflow Pipelines.")]
_Detach = Annotated[bool, typer.Option("--detach", help="On kfp: start the run and leave it.")]


def run(
    file: _File,
    *,
    arg: Given = None,
    no_cache: _NoCache = False,
    workers: options.Workers = None,
    containers: _Containers = False,
    cold: _Cold = False,
    again: _Again = "",
    only: _Only = None,
    since: _Since = None,
    of: _Of = "",
    on: _On = Where.LOCAL,
    detach: _Detach = False,
    experiment: Experiment = "",
    unpinned: Unpinned = False,
    anyway: Anyway = False,
    format: _View = None,
) -> None:
    """Run a pipeline and watch it.

    Exit code 0: it succeeded, or its gate said no. 3: it failed, or its gate could not be
    evaluated. 130: it was cancelled. Ctrl-C cancels a run on this machine; one on kfp goes on
    there: `orc resume` watches it again, `orc cancel` ends it.
    """
    from orchestrator import runs
    from orchestrator.cli import state

    given = pairs(arg or [])
    wish = _wish(again, _names("--only", only), _names("--from", since), of)
    elsewhere = {"--detach": detach, "--experiment": experiment, "--unpinned": unpinned, "--anyway": anyway}
    if on is Where.KFP:
        from orchestrator.cli import cluster_running

        here = {"--workers": workers, "--containers": containers, "--cold": cold, "--resume": again}
        _refuse({**here, "--only": only, "--from": since}, "is for runs on this machine")
        chosen_there = cluster_running.Wanted(not no_cache, experiment, unpinned, anyway, detach)
        raise typer.Exit(cluster_running.run(file, given, chosen_there, format))
    _refuse(elsewhere, "is for runs on Kubeflow Pipelines: --on kfp")
    settings = options.read()
    chosen = runs.Options(cache=not no_cache, workers=workers, containers=containers, cold=cold, wish=wish)
    events = runs.start(file, given, settings, chosen)
    raise typer.Exit(_watch(events, format, settings, state.RunState(file=str(file))))


def resume(run: options.Run = "last", workers: options.Workers = None, format: _View = None) -> None:
    """Go on with a run that failed, was cancelled or was killed; what finished is not run again.

    A run on kfp that still goes on is watched again.
    """
    from orchestrator import runs
    from orchestrator.cli import history, state

    settings = options.read()
    with history.needed(settings.state, run) as metadata:
        record = metadata.run(run)
        before = state.resumed(state.recorded(record, metadata.tasks(record.id)))
        before = replace(before, file=record.source if _is_there(record.source) else "")
    if record.remote:
        from orchestrator.cli import cluster_running

        _refuse({"--workers": workers}, "is for runs on this machine")
        raise typer.Exit(cluster_running.resume(record.id, settings, before, format))
    raise typer.Exit(_watch(runs.resume(record.id, settings, workers=workers), format, settings, before))


def cancel(run: options.Run = "last") -> None:
    """Cancel a run that goes on, in whichever terminal, or on whichever cluster."""
    from orchestrator import runs
    from orchestrator.cli import history

    settings = options.read()
    with history.needed(settings.state, run) as metadata:
        record = metadata.run(run)
        if record.remote:
            from orchestrator.runs import submitted

            with extras.needed("kubernetes"):
                typer.echo(submitted.cancel(record, metadata, settings))
        else:
            typer.echo(runs.cancel(run, settings))


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Say of the first of these options that was given that it does not go with the others."""
    for name, value in given.items():
        if value:
            raise OrchestratorError(f"{name} {why}")


def _wish(again: str, only: tuple[str, ...], since: tuple[str, ...], of: str) -> Wish:
    from orchestrator import runs

    asked = [name for name, value in (("--resume", again), ("--only", only), ("--from", since)) if value]
    if len(asked) > 1:
        raise OrchestratorError(f"{asked[0]} and {asked[1]} do not go together", hint="choose one of them")
    if of and not only and not since:
        raise OrchestratorError("--of says where --only and --from take inputs from", hint="or was it --resume?")
    return runs.Wish(again, only, since, of)


def _names(option: str, listed: list[str] | None) -> tuple[str, ...]:
    """`--only a,b --only c` names a, b and c."""
    names = tuple(name.strip() for each in listed or () for name in each.split(",") if name.strip())
    if listed and not names:
        # As from an empty variable of a shell; all tasks is not what was meant.
        raise OrchestratorError(f"{option} names no task", hint=f"{option} TASK,...; `orc graph FILE` draws the tasks")
    return names


def _is_there(source: str) -> bool:
    """Whether what was run is found from here: `FILE`, or `FILE.py:NAME`."""
    return Path(source).exists() or (".py:" in source and Path(source.rpartition(":")[0]).exists())


def pairs(listed: list[str]) -> dict[str, str]:
    """What `--arg NAME=VALUE` gives."""
    given: dict[str, str] = {}
    for pair in listed:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise OrchestratorError(f"--arg {pair!r} is not NAME=VALUE", hint="for instance: --arg min_f1=0.9")
        if name in given:
            raise OrchestratorError(f"--arg {name} is given twice")
        given[name] = value
    return given


def view(format: View | None) -> View:
    """The view that was asked for, or the one that fits where output goes."""
    return format or (View.LIVE if screen.is_terminal() else View.PLAIN)


def _watch(events: Iterator[Event], format: View | None, settings: Settings, state: RunState) -> int:
    from orchestrator.cli import watch

    return watch.watch(events, watch.VIEWS[view(format)](), settings, state)
