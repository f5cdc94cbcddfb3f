"""Two runs compared: what they were given, what their pipelines are, what ran, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import ir
from orchestrator.errors import OrchestratorError
from orchestrator.history import specification
from orchestrator.stores.artifacts import Artifact
from orchestrator.stores.records import RunRecord, TaskRecord

_METRICS = ("system.Metrics", "system.ClassificationMetrics", "system.SlicedClassificationMetrics")


@dataclass(frozen=True, slots=True)
class Row:
    """Something both runs may have, by its name; None in a run that has it not."""

    name: str
    was: Any
    now: Any

    @property
    def same(self) -> bool:
        """Whether both have the same."""
        return type(self.was) is type(self.now) and _canonical(self.was) == _canonical(self.now)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended and how long it took."""

    status: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs side by side. Rows that are the same are there too."""

    was: RunRecord
    now: RunRecord
    arguments: tuple[Row, ...]
    pipeline: tuple[str, ...]
    """What changed in the pipeline, in words."""
    tasks: tuple[Row, ...]
    values: tuple[Row, ...]
    """Output parameters and metrics."""
    artifacts: tuple[Row, ...]
    """Digests."""


def between(
    was: RunRecord, now: RunRecord, tasks_was: Sequence[TaskRecord], tasks_now: Sequence[TaskRecord]
) -> Difference:
    """The difference from one run to another."""
    return Difference(
        was,
        now,
        _rows(was.arguments, now.arguments),
        _pipeline(was, now),
        _rows(_ended(tasks_was), _ended(tasks_now)),
        _rows(_values(was, tasks_was), _values(now, tasks_now)),
        _rows(_digests(tasks_was), _digests(tasks_now)),
    )


def _rows(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple(Row(name, was.get(name), now.get(name)) for name in dict.fromkeys([*was, *now]))


def _pipeline(was: RunRecord, now: RunRecord) -> tuple[str, ...]:
    if was.ir == now.ir:
        return ()
    try:
        return specification.sentences(ir.load(was.ir, was.id), ir.load(now.ir, now.id))
    except OrchestratorError as error:
        return (f"it cannot be compared: {error.message}",)


def _ended(tasks: Sequence[TaskRecord]) -> dict[str, Ended]:
    return {
        task.name: Ended(task.status, task.finished - task.started if task.finished and task.started else None)
        for task in tasks
    }


def _values(run: RunRecord, tasks: Sequence[TaskRecord]) -> dict[str, Any]:
    """Parameters of the run and its tasks, and the numbers in metrics."""
    found = dict(run.outputs.parameters)
    for task in tasks:
        found |= {f"{task.name}.{name}": value for name, value in task.outputs.parameters.items()}
        for name, artifact in _artifacts(task):
            if artifact.type in _METRICS:
                found |= {f"{name}.{key}": value for key, value in artifact.metadata.items() if _is_number(value)}
    return found


def _digests(tasks: Sequence[TaskRecord]) -> dict[str, str]:
    return {name: artifact.digest for task in tasks for name, artifact in _artifacts(task)}


def _artifacts(task: TaskRecord) -> Iterator[tuple[str, Artifact]]:
    for name, listed in task.outputs.artifacts.items():
        for index, artifact in enumerate(listed):
            yield f"{task.name}.{name}" + (f"[{index}]" if len(listed) > 1 else ""), artifact


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _canonical(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
