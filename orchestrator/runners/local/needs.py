"""The environments the tasks of a pipeline need, found without running it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.environments import requirements
from orchestrator.environments.place import Environment
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.local import command


def environments(pipeline: PipelineSpec, code_paths: tuple[Path, ...], folder: Path) -> list[tuple[Environment, str]]:
    """Each environment once, with what is installed in it. Raises RunError for requirements that cannot be used."""
    found: dict[Path, Environment] = {}
    for executor in pipeline.deployment_spec.executors.values():
        if executor.container is None:
            continue
        # Placeholders that are structures stand for arguments; what is installed is always written as text.
        words = tuple(str(each) for each in (*executor.container.command, *executor.container.args))
        chosen = command.environment(command.program(words), code_paths, folder)
        if chosen:
            found.setdefault(chosen.folder, chosen)
    return [(each, requirements.told(each.installs)) for each in found.values()]
