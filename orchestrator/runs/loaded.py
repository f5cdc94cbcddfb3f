"""A pipeline ready to run, from whichever kind of file."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import orchestrator
from orchestrator import ir
from orchestrator.errors import BackendError, Location, PipelineError, Problem
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec

_BEGINNING = 65_536
_OTHERS = (
    (
        re.compile(r"^apiVersion:\s*[\"']?argoproj\.io/", re.MULTILINE),
        "an Argo workflow, as version 1 of the KFP SDK made them",
        "run its Python file, written for version 2: orc run FILE.py",
    ),
    (
        re.compile(r"^(components|root|schemaVersion|sdkVersion):", re.MULTILINE),
        "a compiled specification that lacks 'pipelineInfo' and 'deploymentSpec'; it may be cut off",
        "compile it again",
    ),
    (
        re.compile(r"^implementation:", re.MULTILINE),
        "a component, not a pipeline",
        "name it in a pipeline file: `component: FILE`",
    ),
)
"""How the files of others begin, what they are, and what to do."""


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
        _refuse_unsound(pipeline, file)
        base = file.resolve().parent
        return Loaded(pipeline, platform, base, (base, builtin))
    refuse_other(file)
    from orchestrator.pipeline import load as front
    from orchestrator.pipeline import python

    if written := python.split(file):
        base = written[0].resolve().parent
        return Loaded(*python.compile(*written), base, (base, builtin))

    compiled = front.pipeline(file, given=given)
    paths = dict.fromkeys([*compiled.code, builtin])
    return Loaded(compiled.spec, compiled.platform, compiled.base, tuple(paths))


def _refuse_unsound(pipeline: PipelineSpec, file: Path) -> None:
    """Refuse a specification that names what is not in it, or goes round in circles."""
    from orchestrator.runners.local import graph

    try:
        graph.check(pipeline)
    except BackendError as error:
        raise PipelineError([Problem(Location(str(file)), str(error).removeprefix("IR: "))]) from error


def refuse_other(file: Path) -> None:
    """Say of files that others than us and the SDK of today wrote what they are; ours are read by their own reader."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_BEGINNING)
    except (OSError, UnicodeDecodeError):
        return
    for pattern, message, hint in _OTHERS:
        if pattern.search(text):
            raise PipelineError([Problem(Location(str(file)), message, hint)])
