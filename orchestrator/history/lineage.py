"""What was made of what: the artifacts of a run, and for one artifact who made it and who used it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.runners.events import Status
from orchestrator.stores.artifacts import Artifact, Values
from orchestrator.stores.records import TaskRecord


@dataclass(frozen=True, slots=True)
class Made:
    """An artifact as the output of a task."""

    task: TaskRecord
    name: str
    artifact: Artifact

    @property
    def called(self) -> str:
        """`task.output`."""
        return f"{self.task.name}.{self.name}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """An artifact with the tasks that gave it, the first of them its maker, and those that were given it."""

    artifact: Artifact
    made: tuple[Made, ...]
    used: tuple[Made, ...]


def made(tasks: Sequence[TaskRecord], type: str = "") -> list[Made]:
    """The artifacts that tasks gave, in their order; `type` with or without `system.` chooses."""
    found = [Made(task, name, artifact) for task in tasks for name, artifact in _each(task.outputs)]
    return [
        each for each in found if not type or each.artifact.type.lower() in (type.lower(), f"system.{type.lower()}")
    ]


def of(digest: str, tasks: Sequence[TaskRecord]) -> list[Lineage]:
    """Each artifact whose digest begins so, with who made and who used it; `tasks` are the earliest first."""
    found: dict[str, tuple[list[Made], list[Made], Artifact]] = {}
    for task in tasks:
        for values, place in ((task.outputs, 0), (task.inputs, 1)):
            for name, artifact in _each(values):
                if artifact.digest.startswith(digest):
                    entry = found.setdefault(artifact.digest, ([], [], artifact))
                    (entry[0] if place == 0 else entry[1]).append(Made(task, name, artifact))
    return [
        Lineage(artifact, tuple(sorted(made, key=lambda each: each.task.status == Status.SKIPPED)), tuple(used))
        for made, used, artifact in found.values()
    ]


def _each(values: Values) -> Iterator[tuple[str, Artifact]]:
    for name, listed in values.artifacts.items():
        for index, artifact in enumerate(listed):
            yield f"{name}[{index}]" if len(listed) > 1 else name, artifact
