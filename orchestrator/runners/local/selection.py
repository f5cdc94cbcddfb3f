"""Which tasks of a pipeline run, when not all do: chosen by name, alone or with everything that comes after them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import NotFoundError, did_you_mean
from orchestrator.ir.spec import Component, Dag, PipelineSpec, Task
from orchestrator.runners.local import graph
from orchestrator.runners.local.graph import Segments
from orchestrator.runners.local.work import Done

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Selection:
    """What runs, and what stands for the rest. Everything is told by path; a group or a loop means all inside."""

    paths: frozenset[str] | None = None
    """What runs; None means all of the pipeline."""
    of: str = ""
    """The earlier run."""
    taken: Mapping[str, Done] = field(default_factory=dict)
    """What tasks that do not run gave in an earlier run."""
    iterations: Mapping[str, int] = field(default_factory=dict)
    """How often the loops went round that do not run."""
    used: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of the groups in which only some tasks run: the inputs these make use of."""

    def runs(self, path: str) -> bool:
        """Whether a task runs, or all of a group."""
        return self.paths is None or any(each in self.paths for each in _above(path))

    def concerns(self, path: str) -> bool:
        """Whether a task runs, or something in a group."""
        return self.paths is None or path in self.used or self.runs(path)

    def narrowed(self, path: str, task: Task) -> Task:
        """The task with the inputs that are used: the producers of the others may not have run."""
        names = self.used.get(path)
        if names is None:
            return task
        parameters = {name: each for name, each in task.inputs.parameters.items() if name in names}
        artifacts = {name: each for name, each in task.inputs.artifacts.items() if name in names}
        inputs = task.inputs.model_copy(update={"parameters": parameters, "artifacts": artifacts})
        return task.model_copy(update={"inputs": inputs})


EVERYTHING = Selection()


def chosen(pipeline: PipelineSpec, names: Sequence[str]) -> frozenset[str]:
    """The paths of tasks by their names, or by their paths. Raises NotFoundError.

    What is inside a loop stands for the whole loop; a name that several tasks have stands for all of them.
    """
    known: dict[str, set[str]] = {}
    by_path: dict[str, str] = {}
    if pipeline.root.dag:
        for segments, target in _all(pipeline, (), pipeline.root.dag, ""):
            identity = graph.identity(segments)
            by_path[identity.path] = target
            if segments[-1].shown:
                known.setdefault(identity.name, set()).add(target)
    found: set[str] = set()
    for name in names:
        bare = _INDEX.sub("", name)
        if name in known or name in by_path:
            found |= known.get(name) or {by_path[name]}
        elif bare in known and bare != name:
            raise NotFoundError("task", name, hint=f"a loop runs as a whole: {bare}")
        else:
            raise NotFoundError("task", name, hint=did_you_mean(name, known))
    return outermost(found)


def downstream(pipeline: PipelineSpec, paths: Collection[str]) -> frozenset[str]:
    """These tasks and all that wait for them, at their own level and at those of the groups they are in."""
    found = set(paths)
    for path in paths:
        dag, prefix = pipeline.root.dag, ""
        for key in path.split("/"):
            if dag is None:
                break
            found |= {prefix + each for each in _followers(dag, key)}
            prefix += key + "/"
            dag = graph.component_of(pipeline, dag.tasks[key]).dag
    return outermost(found)


def outermost(paths: Collection[str]) -> frozenset[str]:
    """The paths without those that are inside others."""
    return frozenset(path for path in paths if not any(each in paths for each in _above(path) if each != path))


def _above(path: str) -> Iterator[str]:
    """A path and those of the groups around it."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _all(pipeline: PipelineSpec, prefix: Segments, dag: Dag, loop: str) -> Iterator[tuple[Segments, str]]:
    """Every task, group and loop, each with the path to be chosen for it."""
    for key, task in dag.tasks.items():
        component: Component = graph.component_of(pipeline, task)
        here = (*prefix, graph.segment(key, task, component))
        path = graph.identity(here).path
        around = loop or (path if task.parameter_iterator or task.artifact_iterator else "")
        yield here, around or path
        if component.dag:
            yield from _all(pipeline, here, component.dag, around)


def _followers(dag: Dag, key: str) -> set[str]:
    """All that wait for a task, directly or through others."""
    waiting: dict[str, list[str]] = {}
    for name, task in dag.tasks.items():
        for producer in graph.upstream(task):
            waiting.setdefault(producer, []).append(name)
    found: set[str] = set()
    todo = [key]
    while todo:
        for name in waiting.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found
