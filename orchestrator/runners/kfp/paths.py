"""A task's path followed through the DAGs of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.ir.spec import Component, PipelineSpec
from orchestrator.runners.events import TaskId
from orchestrator.runners.local import graph
from orchestrator.runners.local.graph import Segment


def follow(pipeline: PipelineSpec, keys: Sequence[str]) -> tuple[TaskId, Component] | None:
    """Whose path it is, and what is used there; None for a path that leads nowhere. The root's is empty."""
    component = pipeline.root
    segments: list[Segment] = []
    in_loop = False
    for key in keys:
        task = None if in_loop or component.dag is None else component.dag.tasks.get(key)
        if in_loop and key.isdigit():
            segments.append(graph.iteration(int(key)))
            in_loop = False
        elif task is not None:
            component = graph.component_of(pipeline, task)
            segments.append(graph.segment(key, task, component))
            in_loop = bool(task.parameter_iterator or task.artifact_iterator)
        else:
            return None
    return graph.identity(tuple(segments)), component
