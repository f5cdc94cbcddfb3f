"""Every command and where it is. Only the one that is asked for is loaded: to build them all takes longer than most."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from orchestrator.cli import manual

_WHERE = {
    "Runs": {
        "run": "running.run",
        "runs": "history.runs",
        "show": "history.show",
        "logs": "history.logs",
        "timeline": "timeline.timeline",
        "resume": "running.resume",
        "cancel": "running.cancel",
        "schedules": "schedules.app",
        "cache": "cache.app",
        "diff": "difference.diff",
        "artifacts": "artifacts.artifacts",
        "gc": "collection.gc",
    },
    "Serving": {
        "endpoints": "endpoints.app",
        "endpoint": "endpoint.app",
        "serve": "endpoints.serve",
        "batch": "batch.batch",
        "models": "models.app",
        "export": "exporting.export",
    },
    "Cluster": {
        "plan": "applying.plan",
        "apply": "applying.apply",
        "delete": "applying.delete",
    },
    "Files": {
        "init": "files.init",
        "validate": "files.validate",
        "check": "checking.check",
        "compile": "files.compile",
        "build": "building.build",
        "graph": "files.graph",
        "schema": "files.schema",
        "environments": "environments.app",
        "version": "files.version",
    },
}


def app(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments: with the command they name, or with all when they name none."""
    named = next((word for word in arguments if not word.startswith("-")), "")
    made = typer.Typer(
        name="orc",
        help="Machine learning pipelines from one YAML file: on this machine, or on Kubeflow Pipelines.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        cls=manual.Group,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(invoke_without_command=True)(_root)
    is_known = any(named in commands for commands in _WHERE.values())
    completes = "_ORC_COMPLETE" in os.environ
    for panel, commands in _WHERE.items():
        for name, where in commands.items():
            if is_known and name != named:
                continue
            module, _, attribute = where.partition(".")
            found = getattr(import_module(f"orchestrator.cli.{module}"), attribute)
            if not is_known and not completes:
                made.command(name, rich_help_panel=panel)(_described(found))
            elif isinstance(found, typer.Typer):
                made.add_typer(found, name=name, rich_help_panel=panel)
            else:
                made.command(name, cls=manual.Command, rich_help_panel=panel)(found)
    return made


def _described(found: Any) -> Callable[[], None]:
    """A command of which nothing is wanted but what its line in the help says."""

    def nothing() -> None: ...

    nothing.__doc__ = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    return nothing


def place(name: str) -> int:
    """Where a command stands in the help."""
    listed = [each for commands in _WHERE.values() for each in commands]
    return listed.index(name) if name in listed else len(listed)


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", show_default=False)] = False,
) -> None:
    if version:
        from orchestrator.cli import files

        files.version()
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
