"""Which imports are loaded ahead for the programs of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from orchestrator.runners.local.warm import imports
from orchestrator.runners.local.warm.imports import Group, Import

Program = tuple[str, ...]
"""("-m", MODULE), ("-c", TEXT), (FILE,), or ("function", NAME, TEXT) of a lightweight component."""


class Plan:
    """Made from all programs of a pipeline, so that what several of them import is loaded once."""

    def __init__(self, programs: Iterable[Program], code_paths: Sequence[Path]) -> None:
        self.programs = list(dict.fromkeys(programs))
        self.code_paths = code_paths

    def groups(self, program: Program) -> tuple[Group, ...]:
        """What a program's server loads, in order."""
        key = repr(program)
        return self._groups[key] if key in self._groups else imports.groups({key: self._imports(program)})[key]

    @cached_property
    def _groups(self) -> dict[str, tuple[Group, ...]]:
        return imports.groups({repr(each): self._imports(each) for each in self.programs})

    def _imports(self, program: Program) -> list[Import]:
        match program:
            case ("-m", module):
                return imports.of_module(module, self.code_paths)
            case ("-c", text):
                return imports.of_text(text)
            case ("function", name, text):
                return [("kfp.dsl.executor_main", ""), *imports.of_function(text, name)]
            case (file,):
                return imports.of_file(Path(file))
        return []


def program(argv: Sequence[str]) -> Program | None:
    """The program behind the words after `python`; None for what no fork server runs."""
    match argv:
        case ["-m" | "-c" as flag, text, *_]:
            return (flag, text)
        case [file, *_] if file.endswith(".py") and not file.startswith("-"):
            return (file,)
    return None


def function(source: str, words: Sequence[str]) -> Program:
    """A component written as a function: its file's text, and the words that name the function."""
    names = [name for flag, name in pairwise(words) if flag == "--function_to_execute"]
    return ("function", names[0] if names else "", source)
