"""From a pipeline file to IR, in phases: parse, shape, names, types, files, lowering. Each reports all it finds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.pipeline import compiler
from orchestrator.pipeline.component import Component
from orchestrator.pipeline.definition import Definition
from orchestrator.pipeline.read import Reader
from orchestrator.source import Source


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pipeline ready to run.

    `base` is where relative paths in the IR begin; `code` are the folders its components' programs are imported from;
    `names` gives each task of the IR, by its path (`condition-1/deploy`), the name it has in the file.
    """

    spec: PipelineSpec
    platform: PlatformSpec
    base: Path
    code: tuple[Path, ...]
    names: Mapping[str, str]
    source: Source
    definition: Definition


def pipeline(path: Path, components: Sequence[Path] = (), *, name: str = "", given: Collection[str] = ()) -> Compiled:
    """Read, check and compile a pipeline file; `name` is how errors call it. Raises PipelineError.

    `components` are folders to look for components in before any other. `given` are the parameters a run brings values
    for: a file that is only their default may be missing.
    """
    reader = Reader(components, given)
    definition = reader.pipeline(path, name=name)
    lowered = compiler.lower(definition)
    base = path.resolve().parent
    return Compiled(
        lowered.spec, lowered.platform, base, tuple(reader.code), lowered.names, definition.source, definition
    )


def component(path: Path, components: Sequence[Path] = ()) -> Component:
    """Read and check a component file of any format we take. Raises PipelineError."""
    return Reader(components).component(path)
