"""The command line: a command parses, calls one library function, prints. Errors are caught here and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

import typer

from orchestrator.cli import commands, complaint, screen
from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.settings import NO_PLUGINS

BUG = 70
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
INTERRUPTED = 130
# What typer raises for a wrong command line; its own classes for these moved between its versions.
_WRONG: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `orc` with these arguments, by default those of the process; the exit code."""
    screen.steady()
    # Pydantic would look through all that is installed for plugins of its own; tasks do not inherit this.
    os.environ.setdefault(*NO_PLUGINS)
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
        app = commands.app(sys.argv[1:] if arguments is None else arguments)
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
