"""Checks of a pipeline in phases: names and cycles, then types, then files. A phase reports all it finds."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from orchestrator.errors import PipelineError
from orchestrator.pipeline.check import names, types
from orchestrator.pipeline.definition import Definition


def definition(pipeline: Definition, *, given: Collection[str] = ()) -> None:
    """Raises PipelineError with every problem of the first phase that has any; the defaults of `given` go unused."""
    for phase in (names.problems, names.circles, types.problems, partial(types.missing, given=given)):
        if problems := phase(pipeline):
            raise PipelineError(problems)
