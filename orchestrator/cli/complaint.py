"""How an error is told: what and where, then how to mend it; with a traceback only when the mistake is ours."""

from __future__ import annotations

import platform
import re
import sys
import traceback
from collections.abc import Iterator

from orchestrator import errors
from orchestrator.cli import screen

# Some versions of typer and click each add it.
_AGAIN = re.compile(r"( Did you mean [^?]+\?)\1+")


def tell(error: errors.OrchestratorError) -> None:
    """Print what the user can act on."""
    _print(_lines(error))


def tell_usage(error: Exception) -> None:
    """Print what is wrong with the command line itself."""
    message = str(getattr(error, "format_message", lambda: error)()).strip()
    message = _AGAIN.sub(r"\1", message)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "orc"
    _print([f"error: {message[:1].lower()}{message[1:]}".rstrip("."), f"  hint: {path} --help"])


def tell_bug() -> None:
    """Print the exception being handled, and that it is for us to mend."""
    traceback.print_exc()
    _print(
        [
            "error: this is a bug in orc, not in your files",
            f"  hint: please report it with the text above, orc {_version()} and Python {platform.python_version()}",
        ]
    )


def _lines(error: errors.OrchestratorError) -> Iterator[str]:
    match error:
        case errors.PipelineError(problems=problems) if problems:
            for problem in problems:
                yield f"{_bold(str(problem.at))}: {problem.message}"
                yield from _hint(problem.hint)
            if len(problems) > 1:
                yield f"error: {len(problems)} problems"
        case _:
            first, *rest = error.message.splitlines() or [type(error).__name__]
            yield f"error: {first}"
            yield from (f"  {line}" for line in rest)
            if isinstance(error, errors.RunError) and error.log:
                yield f"  log: {error.log}"
            yield from _hint(error.hint)


def _hint(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        yield f"  hint: {line}" if number == 0 else f"        {line}"


def _print(lines: Iterator[str] | list[str]) -> None:
    coloured = screen.is_coloured(sys.stderr)
    for line in lines:
        print(_coloured(line) if coloured else line, file=sys.stderr)


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if screen.is_coloured(sys.stderr) else text


def _coloured(line: str) -> str:
    if line.startswith("error:"):
        return f"\x1b[1;31merror:\x1b[0m{line[6:]}"
    if line.startswith("  hint:"):
        return f"\x1b[36m  hint:\x1b[0m{line[7:]}"
    return line


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("orchestrator")
    except metadata.PackageNotFoundError:
        return "(unknown version)"
