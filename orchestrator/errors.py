"""What can go wrong, where it was written, and the exit code each kind ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line and column count from 1, and 0 means "the file as a whole"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, at one place, with a hint that mends it where one is known."""

    at: Location
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.at}: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class OrchestratorError(Exception):
    """Anything the user can act on. The message is the whole of what is shown."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class PipelineError(OrchestratorError):
    """A file the user wrote (pipeline, component, schema, endpoint) is wrong: every problem of a phase, by place."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems: tuple[Problem, ...] = tuple(sorted(unique, key=lambda problem: problem.at))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RunError(OrchestratorError):
    """A run, or a task of it, did not do what it was asked to."""

    exit_code = 3

    def __init__(self, message: str, *, run: str = "", task: str = "", log: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run
        self.task = task
        self.log = log


class NotFoundError(OrchestratorError):
    """Something was named that is not there."""

    exit_code = 4

    def __init__(self, kind: str, name: str, *, known: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(f"there is no {kind} {name!r}", hint=hint or did_you_mean(name, known))
        self.kind = kind
        self.name = name


class BackendError(OrchestratorError):
    """A system we depend on (file system, registry, cluster, server) refused or failed; raised from its own error."""

    exit_code = 5

    def __init__(self, system: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{system}: {message}", hint=hint)
        self.system = system


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or lists the known ones when none is close; "" when none is known."""
    words = sorted(set(known))
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if words and len(words) <= 12:
        return "known: " + ", ".join(words)
    return ""
