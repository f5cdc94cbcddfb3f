"""A run in progress as a tree: a Work is a task in its DAG, a group of them, a loop, or one iteration of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.ir.spec import COMPLETED, Component, PipelineSpec, Task
from orchestrator.runners.events import Status, TaskId
from orchestrator.runners.local import graph
from orchestrator.runners.local.graph import Segments
from orchestrator.runners.local.inputs import Surroundings
from orchestrator.settings import COMPLETE
from orchestrator.stores.artifacts import NOTHING, Values


@dataclass(frozen=True, slots=True)
class Done:
    """What a task took and gave when the run went on before."""

    inputs: Values
    outputs: Values
    cache_key: str
    key_parts: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    """`run/path` of the task that made the outputs."""

    def holds(self, given: Values) -> bool:
        """Whether it would be given the same now: a task before it may have come to something else this time."""
        return _told(self.inputs) == _told(given)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What finished well in an earlier run, and is taken over where it would be the same."""

    run: str = ""
    tasks: Mapping[str, Done] = field(default_factory=dict)
    """By path."""

    def same(self, path: str, key: str, parts: Mapping[str, str]) -> Done | None:
        """The same task with the same definition, inputs and code; of cached ones, any task that is the same.

        Two tasks that are not to be cached stay two, however much alike.
        """
        before = self.tasks.get(path)
        if before and ((parts and before.key_parts == parts) or (key and before.cache_key == key)):
            return before
        return next((each for each in self.tasks.values() if key and each.cache_key == key), None)


@dataclass(slots=True, eq=False)
class Work:
    """One node of the tree; what varies while the run goes on is here and nowhere else."""

    segments: Segments
    task: Task
    component: Component
    parent: Work | None = None
    status: Status = Status.PENDING
    reason: str = ""
    given: Values = NOTHING
    outputs: Values | None = None
    waiting: set[str] = field(default_factory=set)
    """Upstream tasks that have not ended."""
    followers: list[Work] = field(default_factory=list)
    """The tasks beside this one that wait for it."""
    children: dict[str, Work] = field(default_factory=dict)
    """Of a group: its tasks. Of a loop: its iterations."""
    unfinished: int = 0
    """How many of the children have not ended."""
    items: list[Any] = field(default_factory=list)
    """Of a loop: what it iterates over; `begun` of them have started."""
    begun: int = 0
    is_iteration: bool = False
    is_final: bool = False
    """Whether it belongs to the end of the run, which comes even when the run was cancelled."""
    started: float = 0
    attempt: int = 0
    cache_key: str = ""
    key_parts: Mapping[str, str] = field(default_factory=dict)
    missed: str = ""
    """Why an entry under that key was not used."""
    failure: tuple[TaskId, str] | None = None
    """The first task inside that failed, and why."""

    @property
    def id(self) -> TaskId:
        """Path and name."""
        return graph.identity(self.segments)

    @property
    def key(self) -> str:
        """The name in the parent's DAG."""
        return self.segments[-1].key if self.segments else ""

    @property
    def component_name(self) -> str:
        """The component's name as the pipeline's author knows it."""
        return self.task.component_ref.name.removeprefix("comp-")

    @property
    def runs_always(self) -> bool:
        """Whether it runs whatever its upstream tasks came to."""
        return bool(self.task.trigger_policy and self.task.trigger_policy.strategy == COMPLETED)

    @property
    def ends(self) -> bool:
        """Whether it comes after a whole group, whatever that came to: a task of `finally`."""
        told = any(source.task_final_status for source in self.task.inputs.parameters.values())
        after = any(name.startswith("exit-handler") for name in graph.upstream(self.task))
        return self.runs_always and (told or after)

    @property
    def is_open(self) -> bool:
        """Whether something in it has not ended, beside what ends the run."""
        if self.status.final or self.is_final:
            return False
        return any(child.is_open for child in self.children.values()) if self.children else True

    @property
    def is_loop(self) -> bool:
        """Whether this stands for all iterations together."""
        return not self.is_iteration and bool(self.task.parameter_iterator or self.task.artifact_iterator)

    @property
    def is_leaf(self) -> bool:
        """Whether an executor runs here."""
        return not self.is_loop and self.component.dag is None

    @property
    def limit(self) -> int:
        """How many iterations of a loop run at once; 0 means all."""
        return self.task.iterator_policy.parallelism_limit if self.task.iterator_policy else 0

    def names(self, of_run: Mapping[str, str]) -> dict[str, str]:
        """The placeholders that name the run, and this task."""
        return {**of_run, "pipeline_task_name": self.id.name, "pipeline_task_uuid": self.id.path}

    def around(self, names: Mapping[str, str], run: str, succeeded: str = Status.SUCCEEDED) -> Surroundings:
        """What this task can see from its place; `succeeded` is KFP's word for that in a final status."""
        siblings = self.parent.children if self.parent else {}
        outputs = {key: each.outputs for key, each in siblings.items() if each.outputs is not None}
        given = self.parent.given if self.parent else NOTHING
        return Surroundings(
            given, self._loops(), outputs, lambda task: siblings[task].final_status(run, succeeded), self.names(names)
        )

    def _loops(self) -> dict[str, Any]:
        """The items of the loops around this, the nearest of a name."""
        found: dict[str, Any] = {}
        above = self.parent
        while above is not None:
            iterator = above.task.parameter_iterator if above.is_iteration else None
            if iterator:
                found.setdefault(iterator.item_input, above.given.parameters.get(iterator.item_input))
            above = above.parent
        return found

    def final_status(self, run: str, succeeded: str) -> dict[str, Any]:
        """What a task that asks for the final status of this one is told."""
        failed = self.failure
        message = f"{failed[0].name}: {failed[1]}" if failed else self.reason
        return {
            "state": self._state(succeeded),
            "pipelineJobResourceName": run,
            "pipelineTaskName": self.task.task_info.name or self.key,
            "error": {"code": int(self.status in (Status.FAILED, Status.UNSCHEDULABLE)), "message": message},
        }

    def _state(self, succeeded: str) -> str:
        match self.status:
            case Status.SUCCEEDED:
                return succeeded
            case Status.SKIPPED:
                # KFP's server on a cluster tells a task whose outputs came from the cache from one that ran.
                return "CACHED" if succeeded == COMPLETE else succeeded
            case Status.UNSCHEDULABLE:
                return str(Status.FAILED)
            case status:
                return str(status)

    def fingerprint(self) -> list[Any]:
        """What this came to, told without naming the run: equal runs, equal fingerprints."""
        if self.children:
            return [self.key, [each.fingerprint() for each in self.children.values()]]
        status = Status.SUCCEEDED if self.status.good else self.status
        outputs = self.outputs or NOTHING
        digests = {name: [each.digest for each in listed] for name, listed in outputs.artifacts.items()}
        return [self.key, str(status), self.reason if not self.status.good else "", self.cache_key, digests]

    def called(self, pipeline: PipelineSpec) -> str:
        """The name a reason gives it: its own, or for a group a compiler added, of what failed or is inside."""
        if self.failure:
            return self.failure[0].name
        if self.segments and self.segments[-1].shown:
            return self.id.name
        inside = self.executors(pipeline)
        return inside[0].name if inside else self.key

    def executors(self, pipeline: PipelineSpec) -> list[TaskId]:
        """The executors inside, as far as they are known before they run."""
        if self.component.dag is None:
            return [self.id]
        return [graph.identity(each) for each in graph.leaves(pipeline, self.segments, self.component.dag)]


def _told(values: Values) -> str:
    artifacts = {name: [[each.digest, each.type] for each in listed] for name, listed in values.artifacts.items()}
    return json.dumps([values.parameters, artifacts], sort_keys=True)
