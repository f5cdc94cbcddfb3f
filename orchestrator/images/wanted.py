"""The images a pipeline runs in: those to be built from code that is here, and those that somebody else made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.images import code, reference
from orchestrator.images.code import Program
from orchestrator.ir.spec import PipelineSpec

COMPONENT, SERVER, MLFLOW = "component", "server", "mlflow"
"""The kinds of image: each a target of the Dockerfile."""
OWN = {SERVER: "orchestrator/server", MLFLOW: "orchestrator/mlflow"}
"""Images that no component names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that is to be built."""

    name: str
    programs: tuple[Program, ...] = ()
    kind: str = COMPONENT


@dataclass(frozen=True, slots=True)
class Images:
    """All images of a pipeline."""

    wanted: tuple[Wanted, ...] = ()
    given: tuple[str, ...] = ()
    """Those that are used as they are."""


def of(pipeline: PipelineSpec, code_paths: Sequence[Path]) -> Images:
    """The images of a compiled pipeline; `code_paths` are the folders its programs are imported from."""
    containers = (each.container for each in pipeline.deployment_spec.executors.values() if each.container)
    asked = ((each.image, [str(word) for word in (*each.command, *each.args)]) for each in containers)
    return sorted_out(asked, code_paths)


def sorted_out(asked: Iterable[tuple[str, Sequence[str]]], code_paths: Sequence[Path]) -> Images:
    """Images by name, each with the words its containers run.

    A name without registry, tag and digest is built if a container runs a module that is here; every other image
    somebody has made. Components that name the same image share it.
    """
    programs: dict[str, dict[Program, None]] = {}
    given: dict[str, None] = {}
    for image, words in asked:
        found = code.program(words, code_paths) if reference.is_name(image) else None
        if found:
            programs.setdefault(image, {})[found] = None
        else:
            given[image] = None
    wanted = (Wanted(name, tuple(sorted(held, key=lambda each: each.module))) for name, held in programs.items())
    return Images(tuple(sorted(wanted, key=lambda each: each.name)), tuple(sorted(set(given) - set(programs))))
