"""What a run is given on the command line, as values of the pipeline's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import arguments
from orchestrator.stores.artifacts import is_remote


def values(pipeline: PipelineSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Each argument as its parameter's type; a path begins where it was typed. Raises PipelineError."""
    found = arguments.from_text(pipeline, given)
    artifacts = pipeline.root.input_definitions.artifacts
    for name in (arguments.uris(pipeline) | set(artifacts)) & set(found):
        found[name] = _located(name, found[name])
    return found


def _located(name: str, value: Any) -> Any:
    """A path that was typed on the command line: it begins where it was typed, not where the pipeline lies."""
    if isinstance(value, list):
        return [_located(name, each) for each in value]
    if not isinstance(value, str) or is_remote(value) or value.startswith("file:"):
        return value
    place = Location(f"--arg {name}")
    if not value:
        raise PipelineError([Problem(place, "expected a file or a URI, not nothing")])
    try:
        return str(Path(value).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # A home of nobody, links in a circle, a NUL.
        raise PipelineError([Problem(place, f"no usable path: {error}")]) from error
