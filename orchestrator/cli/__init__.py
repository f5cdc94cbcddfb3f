"""The command line: a command parses, calls one library function, prints. Errors are caught here and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli import (
    artifacts,
    cache,
    checking,
    collection,
    complaint,
    difference,
    endpoints,
    environments,
    files,
    history,
    manual,
    models,
    running,
    screen,
    timeline,
)
from orchestrator.errors import BackendError, OrchestratorError

BUG = 70
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
INTERRUPTED = 130
# What typer raises for a wrong command line; its own classes for these moved between its versions.
_WRONG: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="orc",
    help="Machine learning pipelines from one YAML file: on this machine, or on Kubeflow Pipelines.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=manual.Group,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", show_default=False)] = False,
) -> None:
    if version:
        files.version()
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


_COMMANDS = {
    "Runs": (
        running.run,
        history.runs,
        history.show,
        history.logs,
        running.resume,
        running.cancel,
        difference.diff,
        artifacts.artifacts,
        timeline.timeline,
        collection.gc,
    ),
    "Serving": (endpoints.serve,),
    "Files": (files.init, files.validate, checking.check, files.compile, files.graph, files.schema, files.version),
}
for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(cls=manual.Command, rich_help_panel=_panel)(_command)
app.add_typer(cache.app, name="cache", rich_help_panel="Runs")
app.add_typer(environments.app, name="environments", rich_help_panel="Files")
app.add_typer(endpoints.app, name="endpoints", rich_help_panel="Serving")
app.add_typer(models.app, name="models", rich_help_panel="Serving")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `orc` with these arguments, by default those of the process; the exit code."""
    screen.steady()
    try:
        code = _main(None if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        return _unread()
    except SystemExit as left:
        # typer and rich leave like this, too, when nobody reads on.
        if isinstance(left.__context__, BrokenPipeError):
            return _unread()
        return left.code if isinstance(left.code, int) else 0
    return code


def _unread() -> int:
    """Whoever read our output has enough, as in `orc runs | head`. What is still buffered must not complain at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _main(arguments: list[str] | None) -> int:
    try:
        code = app(args=arguments, prog_name="orc", standalone_mode=False)
    except OrchestratorError as error:
        complaint.tell(error)
        return error.exit_code
    except _WRONG as error:
        complaint.tell_usage(error)
        return int(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            complaint.tell_bug()
            return BUG
        complaint.tell(BackendError("output", f"cannot be written: {error.strerror}"))
        return BackendError.exit_code
    except Exception:  # noqa: BLE001  The border of the program: whatever is left is a bug, told as one.
        complaint.tell_bug()
        return BUG
    return code if isinstance(code, int) else 0
