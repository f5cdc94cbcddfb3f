"""What tasks that run need of tasks that do not: found in an earlier run before anything starts, or named as missing.

Pure: from the tasks that shall run it goes back, input by input, through the groups around them, to the executors that
once gave each value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.ir.spec import Component, Dag, PipelineSpec, Task
from orchestrator.runners.events import Status
from orchestrator.runners.local import graph
from orchestrator.runners.local.graph import Segments
from orchestrator.runners.local.selection import Selection
from orchestrator.runners.local.work import Done
from orchestrator.stores.artifacts import Artifact

_CONDITION = re.compile(r"\[\s*(?:'([^']+)'|\"([^\"]+)\")\s*\]")
_NAMED = re.compile(r"\{\{\$\.inputs\.(?:parameters|artifacts)\[\\?['\"]([^'\"\\]+)\\?['\"]\]")


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


Output = tuple[str, str]  # "parameter" or "artifact", and its name.


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
    by_path: dict[str, Recorded] = field(init=False)
    by_name: dict[str, Recorded | None] = field(init=False)

    def __post_init__(self) -> None:
        self.by_path = {task.path: task for task in self.earlier.tasks}
        # Groups are numbered anew when a pipeline file changes; a name that only one task has finds it all the same.
        self.by_name = {}
        for task in self.earlier.tasks:
            self.by_name[task.name] = None if task.name in self.by_name else task

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
                needs = {each: Need(name, _named_by(task, each)) for each in inputs}
            elif component.dag and any(each.startswith(path + "/") for each in self.selection.paths or ()):
                condition = task.trigger_policy.condition if task.trigger_policy else ""
                asked = [one or other for one, other in _CONDITION.findall(condition)]
                needs = {each: Need(name, "") for each in asked}
                needs |= self.open(here, component.dag)
                self.used[path] = frozenset(_with_named(task, needs))
                needs = {each: needs.get(each) or next(iter(needs.values())) for each in self.used[path]}
            else:
                continue
            for each, need in needs.items():
                outer, made = _source(task, each)
                if outer:
                    wanted.setdefault(outer, need)
                if made and self._had(around, dag, *made) is not True and not _is_optional(component, each):
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
        count = self._rounds(here, component)
        if count is None:
            return None if self._inside(here, component, output) is None else False
        self.iterations[path] = count
        each = [self._inside((*here, graph.iteration(number)), component, output) for number in range(count)]
        return all(found is not False for found in each)

    def _inside(self, here: Segments, component: Component, output: Output) -> bool | None:
        if component.dag is None:
            return self._recorded(here, output)
        made = [self._had(here, component.dag, *each) for each in _sources(component.dag, output)]
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

    def _rounds(self, loop: Segments, component: Component) -> int | None:
        """How often a loop went round; None when that cannot be told."""
        count = 0
        while self._went((*loop, graph.iteration(count)), component):
            count += 1
        return count if self.earlier.is_over and (count or self.earlier.is_good) else None

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
        for key, inner in _sources(component.dag, output):
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


def _source(task: Task, name: str) -> tuple[str, tuple[str, Output] | None]:
    """Where an input comes from: the name of an input of the DAG around, or a task beside and its output."""
    if parameter := task.inputs.parameters.get(name):
        value, produced = parameter.runtime_value, parameter.task_output_parameter
        outer = parameter.component_input_parameter or (value.runtime_parameter if value else "")
        made = (produced.producer_task, ("parameter", produced.output_parameter_key)) if produced else None
        return outer, made
    if artifact := task.inputs.artifacts.get(name):
        given = artifact.task_output_artifact
        made = (given.producer_task, ("artifact", given.output_artifact_key)) if given else None
        return artifact.component_input_artifact, made
    return "", None


def _is_optional(component: Component, name: str) -> bool:
    definitions = component.input_definitions
    if parameter := definitions.parameters.get(name):
        return parameter.is_optional or parameter.default_value is not None
    return name in definitions.artifacts and definitions.artifacts[name].is_optional


def _sources(dag: Dag, output: Output) -> Iterator[tuple[str, Output]]:
    """The tasks of a DAG that may give one of its outputs."""
    kind, name = output
    if dag.outputs is None:
        return
    if kind == "parameter" and (parameter := dag.outputs.parameters.get(name)):
        one = parameter.value_from_parameter
        several = parameter.value_from_oneof.parameter_selectors if parameter.value_from_oneof else ()
        for selector in several or ([one] if one else []):
            yield selector.producer_subtask, (kind, selector.output_parameter_key)
    if kind == "artifact" and (artifact := dag.outputs.artifacts.get(name)):
        for choice in artifact.artifact_selectors:
            yield choice.producer_subtask, (kind, choice.output_artifact_key)


def _with_named(task: Task, names: Iterable[str]) -> Iterator[str]:
    """Inputs of a task, and those that the text of its constants names."""
    todo, seen = list(names), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        parameter = task.inputs.parameters.get(name)
        if parameter and parameter.runtime_value:
            todo += _NAMED.findall(_text(parameter.runtime_value.constant))


def _named_by(task: Task, name: str) -> str:
    """The input as its author knows it: of a value that stands inside a text, the input that holds the text."""
    for other, parameter in task.inputs.parameters.items():
        if parameter.runtime_value and name in _NAMED.findall(_text(parameter.runtime_value.constant)):
            return other
    return name


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(map(_text, value.values()))
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return value if isinstance(value, str) else ""
