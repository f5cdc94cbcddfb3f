"""One pipeline's tasks, with the groups their conditions, loops and `finally` ask for, as a component of the IR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.pipeline import cel, graph
from orchestrator.pipeline.check import names as checks
from orchestrator.pipeline.compiler import dag as dags
from orchestrator.pipeline.compiler import executor, kubernetes, naming, presence
from orchestrator.pipeline.compiler.dag import Dag, Data
from orchestrator.pipeline.compiler.kubernetes import Marks
from orchestrator.pipeline.compiler.library import Library
from orchestrator.pipeline.compiler.values import Values
from orchestrator.pipeline.component import Compiled, Component, Container, Input
from orchestrator.pipeline.definition import Definition, Use, declared_item_type, type_of
from orchestrator.pipeline.expression import references
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import Item

COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"


class Lowering:
    """Lowers one definition; `base` is the folder relative paths of the whole IR begin at."""

    def __init__(self, definition: Definition, library: Library, base: Path, marks: Marks) -> None:
        self.definition = definition
        self.library = library
        self.base = base
        self.marks = kubernetes.marks(definition.spec.metadata).merged(marks)
        self.called = naming.tasks(definition.uses)
        self.taken = set(self.called.values())
        self.names: dict[str, str] = {}
        self.count = 0
        self.root = Dag("")
        self.body = self.root
        self.branches: dict[str, Dag] = {}
        self.values = Values(definition, base, library, self.called, self.taken)

    def component(self) -> Data:
        """The whole pipeline as one component: `root`, or a nested DAG."""
        definition = self.definition
        if any(use.final for use in definition.uses.values()):
            self.body = self.root.group(self._numbered("exit-handler"))
            self.names[self.body.name] = "tasks"
        self.values.begin(self.root, self.body)
        groups = checks.branches(definition)
        for name in self._order(groups):
            self._place(definition.uses[name], groups)
        for name, each in definition.outputs.items():
            channel = self.values.channel(each)
            made = dags.made(self.root, channel)
            if made is not None:
                self.root.outputs[name] = (channel.type, [made])
        inputs = {name: self._rebased(name, each) for name, each in definition.inputs.items()}
        return {**executor.interface(inputs, {}), **self._finished(self.root)}

    def _order(self, groups: list[tuple[str, ...]]) -> list[str]:
        """Producers first, ordinary tasks before those of `finally`; the branches of a `one_of` go together."""
        uses = self.definition.uses
        members = {group[0]: group for group in groups}
        needs = graph.contracted({name: use.needs() for name, use in uses.items()}, groups)
        ordered = [name for head in graph.order(needs) for name in members.get(head, (head,))]
        return sorted(ordered, key=lambda name: uses[name].final)

    def _place(self, use: Use, groups: list[tuple[str, ...]]) -> None:
        dag = self.root if use.final else self.body
        top = None
        for group in groups:
            if use.name in group:
                dag = self._branch(dag, group)
        inside = use.looped and use.when is not None and any(isinstance(each, Item) for each in references(use.when))
        if use.when is not None and not inside:
            dag = self._condition(dag, use)
            top = top or dag
        if use.looped:
            dag = self._loop(dag, use)
            # Nothing in the loop asks for the values of the condition around it; the SDK hands them in all the same.
            for each in references(use.when) if use.when is not None and not inside else ():
                dags.enter(dag, self.values.channel(each, use))
            top = top or dag
        if use.when is not None and inside:
            dag = self._condition(dag, use)
        name = self.called[use.name]
        dag.tasks[name] = self._task(dag, use)
        self.names[_path(dag, name)] = use.name
        self.values.homes[use.name] = dag
        for other in use.spec.after:
            dags.follow(dag, name, self.values.homes[other], self.called[other])
        if use.final:
            last = top.name if top else name
            self.root.needs.setdefault(last, set()).add(self.body.name)
            policy = {"strategy": COMPLETED}
            target = top.settings if top else dag.tasks[name]
            target["triggerPolicy"] = {**target.get("triggerPolicy", {}), **policy}

    def _branch(self, dag: Dag, group: tuple[str, ...]) -> Dag:
        if group[0] not in self.branches:
            self.branches[group[0]] = dag.group(self._numbered("condition-branches"))
            self._name(self.branches[group[0]], " or ".join(group))
        return self.branches[group[0]]

    def _condition(self, dag: Dag, use: Use) -> Dag:
        group = dag.group(self._numbered("condition"))
        self._name(group, f"{use.name}: when")

        def resolve(each: Any) -> tuple[Type | None, str]:
            name = dags.enter(group, self.values.channel(each, use))
            return type_of(each, self.definition, use), name

        if use.when is not None:
            group.settings["triggerPolicy"] = {"condition": cel.condition(use.when, resolve)}
        return group

    def _loop(self, dag: Dag, use: Use) -> Dag:
        name = self._numbered("for-loop")
        group = dag.group(name, looped=True)
        self._name(group, f"{use.name}: foreach")
        if isinstance(use.foreach, list):
            item = f"pipelinechannel--loop-item-param-{self.count}"
            raw = json.dumps(use.foreach, sort_keys=True)
            group.settings["parameterIterator"] = {"items": {"raw": raw}, "itemInput": item}
            kind = declared_item_type(self.definition, use)
        else:
            channel = self.values.channel(use.foreach)
            listed = dags.enter(group, channel)
            item = self.values.name_of_item(listed)
            kind = declared_item_type(self.definition, use)
            if channel.type.artifact:
                kind = Type(channel.type.name, True, False, channel.type.version)
                group.settings["artifactIterator"] = {"items": {"inputArtifact": listed}, "itemInput": item}
            else:
                group.settings["parameterIterator"] = {"items": {"inputParameter": listed}, "itemInput": item}
        group.inputs[item] = kind
        self.values.items[use.name] = (group, item, kind)
        if use.spec.parallelism:
            group.settings["iteratorPolicy"] = {"parallelismLimit": use.spec.parallelism}
        return group

    def _task(self, dag: Dag, use: Use) -> Data:
        if use.component is None:
            raise TypeError(f"task {use.name!r} has no component: it has not passed the checks")
        name = self.called[use.name]
        given = self.values.arguments(dag, name, use, use.component)
        reference = self._component(use, use.component, _path(dag, name))
        return {
            "taskInfo": {"name": use.name},
            "componentRef": {"name": reference},
            **executor.policies(use.spec),
            **dags.inputs(given),
        }

    def _component(self, use: Use, used: Component, path: str) -> str:
        match used.body:
            case Container() as body:
                return self.library.executor(
                    used.name,
                    executor.interface(used.inputs, used.outputs),
                    {"container": executor.container(body, use.spec, presence.known(self.definition, use))},
                    kubernetes.of(body, use.spec, self.marks, f"{self.definition.name}/{use.name}"),
                    kubernetes.ours(use.spec),
                )
            case Compiled(spec, platform):
                return self.library.compiled(used.name, spec, platform, self.marks)
            case Definition() as nested:
                inner = Lowering(nested, self.library, self.base, self.marks)
                data = inner.component()
                self.names.update({f"{path}/{key}": value for key, value in inner.names.items()})
                return self.library.dag(used.name, data)
        raise TypeError(f"component {used.name!r} has no body that can be lowered")

    def _rebased(self, name: str, each: Input) -> Input:
        """A default that is a path begins at this file's folder; in the IR all begin at the outermost one's."""
        if not isinstance(each.default, str) or name not in self.values.paths:
            return each
        return Input(each.type, each.optional, self.values.path(each.default), each.description, each.literals)

    def _finished(self, dag: Dag) -> Data:
        """A DAG as a component, its groups as components of their own."""
        tasks: Data = dict(dag.tasks)
        for name, group in dag.groups.items():
            reference = self.library.dag(name, self._finished(group))
            info = {"taskInfo": {"name": group.display or name}, "componentRef": {"name": reference}}
            tasks[name] = {**info, **dags.inputs(group.given), **group.settings}
        for name, needs in dag.needs.items():
            tasks[name] = {**tasks[name], "dependentTasks": sorted(needs)}
        outputs = [(name, kind) for name, (kind, _) in dag.outputs.items()]
        return {
            **dags.definitions(dag.inputs.items(), "inputDefinitions"),
            **dags.definitions(outputs, "outputDefinitions"),
            "dag": {"tasks": tasks, **dags.dag_outputs(dag)},
        }

    def _numbered(self, kind: str) -> str:
        self.count += 1
        while f"{kind}-{self.count}" in self.taken:
            self.count += 1
        self.taken.add(f"{kind}-{self.count}")
        return f"{kind}-{self.count}"

    def _name(self, group: Dag, text: str) -> None:
        if group.parent is not None:
            self.names[_path(group.parent, group.name)] = text


def _path(dag: Dag, task: str) -> str:
    """The way from the root to a task: the names of the groups it is in, and its own."""
    return "/".join(reversed([task, *(each.name for each in dag.line() if each.parent is not None)]))
