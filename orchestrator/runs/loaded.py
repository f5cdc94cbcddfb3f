"""A pipeline ready to run, from whichever kind of file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import orchestrator
from orchestrator import ir
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline ready to run, whatever file it came from."""

    pipeline: PipelineSpec
    platform: PlatformSpec
    base: Path
    code_paths: tuple[Path, ...]


def load(file: Path, given: Collection[str] = ()) -> Loaded:
    """A pipeline file of ours, a compiled specification, or a Python file with a KFP pipeline. Raises PipelineError."""
    builtin = Path(orchestrator.__file__).resolve().parent.parent
    if ir.recognises(file):
        pipeline, platform = ir.read(file)
        base = file.resolve().parent
        return Loaded(pipeline, platform, base, (base, builtin))
    from orchestrator.pipeline import load as front
    from orchestrator.pipeline import python

    if written := python.split(file):
        base = written[0].resolve().parent
        return Loaded(*python.compile(*written), base, (base, builtin))

    compiled = front.pipeline(file, given=given)
    paths = dict.fromkeys([*compiled.code, builtin])
    return Loaded(compiled.spec, compiled.platform, compiled.base, tuple(paths))
