"""What tasks that run need of tasks that do not: found in an earlier run before anything starts, or named as missing.

Pure: from the tasks that shall run it goes back, input by input, through the groups around them, to the executors that
once gave each value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.ir.spec import Component, Dag, PipelineSpec, Task
from orchestrator.runners.events import Status
from orchestrator.runners.local import graph, wiring
from orchestrator.runners.local.graph import Segments
from orchestrator.runners.local.selection import Selection
from orchestrator.runners.local.wiring import Output
from orchestrator.runners.local.work import Done
from orchestrator.stores.artifacts import Artifact

_CONDITION = re.compile(r"\[\s*(?:'([^']+)'|\"([^\"]+)\")\s*\]")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A task of an earlier run."""

    path: str
    name: str
    status: Status
    done: Done


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier run: its tasks, and whether it came to its own end, so that no iteration of a loop is wanting."""

    run: str
    tasks: tuple[Recorded, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_over: bool = True
    is_good: bool = True


@dataclass(frozen=True, slots=True)
class Need:
    """A task that runs, and the input it needs; "" when it is its condition that asks."""

    task: str
    input: str


@dataclass(frozen=True, slots=True)
class Missing:
    """An input that an earlier run does not have, and what would have given it."""

    need: Need
    producer: str
    output: str

    def __str__(self) -> str:
        use = f"as its input {self.need.input!r}" if self.need.input else "for its condition"
        return f"the task {self.need.task!r} needs the output {self.output!r} of {self.producer!r} {use}"


def select(
    pipeline: PipelineSpec, paths: frozenset[str], earlier: Before, intact: Callable[[Artifact], bool]
) -> tuple[Selection, tuple[Missing, ...]]:
    """A selection with all it needs of the earlier run, and what of that the run lacks."""
    if pipeline.root.dag is None:
        return Selection(paths), ()
    search = _Search(pipeline, Selection(paths), earlier, intact)
    search.open((), pipeline.root.dag)
    selection = Selection(paths, earlier.run, search.taken, search.iterations, search.used)
    return selection, tuple(dict.fromkeys(search.missing))


@dataclass(slots=True)
class _Search:
    pipeline: PipelineSpec
    selection: Selection
    earlier: Before
    intact: Callable[[Artifact], bool]
    taken: dict[str, Done] = field(default_factory=dict)
    iterations: dict[str, int] = field(default_factory=dict)
    used: dict[str, frozenset[str]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    rounds: dict[str, int] = field(default_factory=dict)
    by_path: dict[str, Recorded] = field(init=False)
    by_name: dict[str, Recorded | None] = field(init=False)

    def __post_init__(self) -> None:
        self.by_path = {task.path: task for task in self.earlier.tasks}
        # Groups are numbered anew when a pipeline file changes; a name that only one task has finds it all the same.
        self.by_name = {}
        for task in self.earlier.tasks:
            self.by_name[task.name] = None if task.name in self.by_name else task
            parts = task.path.split("/")
            for place, part in enumerate(parts):
                if part.isdigit():
                    loop = "/".join(parts[:place])
                    self.rounds[loop] = max(self.rounds.get(loop, 0), int(part) + 1)

    def open(self, around: Segments, dag: Dag) -> dict[str, Need]:
        """Look into a DAG in which something runs: the inputs of the DAG that are used, each with one use."""
        wanted: dict[str, Need] = {}
        for key in graph.order(dag):
            task = dag.tasks[key]
            component = graph.component_of(self.pipeline, task)
            here = (*around, graph.segment(key, task, component))
            path = graph.identity(here).path
            name = self._called(here, component)
            if self.selection.runs(path):
                inputs = {*task.inputs.parameters, *task.inputs.artifacts}
                needs = {each: Need(name, wiring.named_by(task, each)) for each in inputs}
            elif component.dag and any(each.startswith(path + "/") for each in self.selection.paths or ()):
                condition = task.trigger_policy.condition if task.trigger_policy else ""
                asked = [one or other for one, other in _CONDITION.findall(condition)]
                needs = {each: Need(name, "") for each in asked}
                needs |= self.open(here, component.dag)
                self.used[path] = frozenset(wiring.with_named(task, needs))
                needs = {each: needs.get(each) or next(iter(needs.values())) for each in self.used[path]}
            else:
                continue
            for each, need in needs.items():
                outer, made = wiring.source(task, each)
                if outer:
                    wanted.setdefault(outer, need)
                if made and self._had(around, dag, *made) is not True and not wiring.is_optional(component, each):
                    self.missing.append(self._lack(around, dag, need, *made))
        return wanted

    def _lack(self, around: Segments, dag: Dag, need: Need, producer: str, output: Output) -> Missing:
        task = dag.tasks[producer]
        component = graph.component_of(self.pipeline, task)
        return Missing(need, *self._origin((*around, graph.segment(producer, task, component)), component, output))

    def _had(self, around: Segments, dag: Dag, key: str, output: Output) -> bool | None:
        """Whether an output of a task is there: made in this run or the earlier one; None when it rightly is not."""
        task = dag.tasks[key]
        component = graph.component_of(self.pipeline, task)
        here = (*around, graph.segment(key, task, component))
        path = graph.identity(here).path
        if self.selection.runs(path):
            return True
        if not (task.parameter_iterator or task.artifact_iterator):
            return self._inside(here, component, output)
        count = self._rounds(here, task, component, output)
        if count is None:
            return None if self._inside(here, component, output) is None else False
        self.iterations[path] = count
        each = [self._inside((*here, graph.iteration(number)), component, output) for number in range(count)]
        return all(found is not False for found in each)

    def _inside(self, here: Segments, component: Component, output: Output) -> bool | None:
        if component.dag is None:
            return self._recorded(here, output)
        made = [self._had(here, component.dag, *each) for each in wiring.sources(component.dag, output)]
        return True if True in made else False if False in made or not made else None

    def _recorded(self, here: Segments, output: Output) -> bool | None:
        task = self._found(here)
        if task is None or not task.status.good:
            return None if task and task.status is Status.NOT_TRIGGERED else False
        kind, name = output
        given = task.done.outputs
        if name not in (given.parameters if kind == "parameter" else given.artifacts):
            return False
        if not all(self.intact(artifact) for listed in given.artifacts.values() for artifact in listed):
            return False
        self.taken[graph.identity(here).path] = task.done
        return True

    def _found(self, here: Segments) -> Recorded | None:
        identity = graph.identity(here)
        return self.by_path.get(identity.path) or self.by_name.get(identity.name)

    def _rounds(self, loop: Segments, task: Task, component: Component, output: Output) -> int | None:
        """How often a loop went round; None when that cannot be told."""
        written = wiring.written(task)
        if written is not None:
            return written if self.earlier.is_over else None
        if self.earlier.is_over and (given := wiring.given_items(self._line(loop), self.earlier.arguments)) is not None:
            return given
        if output[0] == "parameter" and not self._leaves_a_trace(component):
            return None  # Of a round that is made of loops alone there is no trace when these have nothing to do.
        count = self.rounds.get(graph.identity(loop).path, 0)
        while self._went((*loop, graph.iteration(count)), component):
            count += 1
        return count if self.earlier.is_over and (count or self.earlier.is_good) else None

    def _line(self, here: Segments) -> list[Task]:
        """The tasks a path goes through."""
        dag, line = self.pipeline.root.dag, []
        for each in here:
            if dag and each.key in dag.tasks:
                line.append(dag.tasks[each.key])
                dag = graph.component_of(self.pipeline, line[-1]).dag
        return line

    def _leaves_a_trace(self, component: Component) -> bool:
        """Whether something inside is recorded, however the run went."""
        if component.dag is None:
            return True
        return any(
            self._leaves_a_trace(graph.component_of(self.pipeline, task))
            for task in component.dag.tasks.values()
            if wiring.written(task) or not (task.parameter_iterator or task.artifact_iterator)
        )

    def _went(self, here: Segments, component: Component) -> bool:
        """Whether anything inside was recorded."""
        if component.dag is None:
            return self._found(here) is not None
        for key, task in component.dag.tasks.items():
            inner = graph.component_of(self.pipeline, task)
            each = (*here, graph.segment(key, task, inner))
            looped = task.parameter_iterator or task.artifact_iterator
            if self._went((*each, graph.iteration(0)) if looped else each, inner):
                return True
        return False

    def _origin(self, here: Segments, component: Component, output: Output) -> tuple[str, str]:
        """The executor behind an output, as it is called, and what it calls the output."""
        if component.dag is None:
            return graph.identity(here).name, output[1]
        for key, inner in wiring.sources(component.dag, output):
            task = component.dag.tasks[key]
            used = graph.component_of(self.pipeline, task)
            return self._origin((*here, graph.segment(key, task, used)), used, inner)
        return graph.identity(here).name, output[1]

    def _called(self, here: Segments, component: Component) -> str:
        """The name of a task; of a group a compiler added, that of the first task inside."""
        if component.dag is None or here[-1].shown:
            return graph.identity(here).name
        for key, task in component.dag.tasks.items():
            inner = graph.component_of(self.pipeline, task)
            return self._called((*here, graph.segment(key, task, inner)), inner)
        return here[-1].key
