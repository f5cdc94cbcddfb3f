"""Traps of the KFP DSL: what its author wrote compiles to something that runs, and that nobody can have meant."""

from __future__ import annotations

from orchestrator.ir import groups, texts
from orchestrator.ir.spec import PipelineSpec


def phrases(pipeline: PipelineSpec) -> list[str]:
    """What to warn of, one phrase for each place."""
    return [
        f"task {(task.task_info.name or key)!r} is given the text {variable!r} in its input {name!r}:"
        " in the KFP DSL `item.name` is the name of the loop's variable, not the field 'name' of its item"
        " (call the field otherwise)"
        for component in [pipeline.root, *pipeline.components.values()]
        for key, task in (component.dag.tasks if component.dag else {}).items()
        for name, source in task.inputs.parameters.items()
        for text in texts.inside(source.runtime_value.constant if source.runtime_value else None)
        for variable in groups.variables(text)
    ]
