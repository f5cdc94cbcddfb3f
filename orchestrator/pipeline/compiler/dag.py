"""DAGs being put together: groups within groups, and values handed through their walls.

A task may take a value from its own DAG only. What comes from outside is declared as an input of the group and handed
to it by the DAG around it, as far out as it takes; what is made inside goes out as an output in the same way. The
names are those the KFP SDK gives: `pipelinechannel--TASK-OUTPUT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.pipeline.compiler.executor import typed
from orchestrator.pipeline.compiler.naming import unique
from orchestrator.pipeline.kinds import Type

Data = dict[str, Any]


@dataclass(eq=False, slots=True)
class Dag:
    """One DAG: a pipeline's root (without parent), or a group that is a task of its parent."""

    name: str
    parent: Dag | None = None
    settings: Data = field(default_factory=dict)  # What makes a group what it is: its condition, its iterator.
    display: str = ""
    looped: bool = False
    inputs: dict[str, Type] = field(default_factory=dict)
    given: dict[str, Data] = field(default_factory=dict)  # Where the parent takes the inputs from.
    outputs: dict[str, tuple[Type, list[tuple[str, str]]]] = field(default_factory=dict)
    tasks: dict[str, Data] = field(default_factory=dict)
    groups: dict[str, Dag] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)

    def line(self) -> Iterator[Dag]:
        """This DAG and those around it, outwards."""
        here: Dag | None = self
        while here is not None:
            yield here
            here = here.parent

    def group(self, name: str, **settings: Any) -> Dag:
        """A new group, as a task of this DAG."""
        self.groups[name] = Dag(name, self, **settings)
        return self.groups[name]


@dataclass(frozen=True, slots=True)
class Channel:
    """A value that can be handed on. Exactly one of the later fields says where it is at home."""

    name: str
    type: Type
    inner: Type | None = None  # Before a loop collected it.
    root: Dag | None = None  # An input of this DAG, or, with a source, what any task of it may take.
    source: tuple[tuple[str, Any], ...] = ()
    home: Dag | None = None  # Made in this DAG by ...
    key: tuple[str, str] = ("", "")  # ... this task, as this output.


class Names:
    """Names of inputs that groups are given, one per value, whatever two values would like to be called."""

    def __init__(self) -> None:
        self._by_value: dict[object, str] = {}
        self._taken: set[str] = set()

    def of(self, value: object, *parts: str) -> str:
        """The name of a value, made of these parts when it is first seen."""
        if value not in self._by_value:
            name = unique("pipelinechannel--" + "-".join(parts), self._taken)
            self._taken.add(name)
            self._by_value[value] = name
        return self._by_value[value]


def take(dag: Dag, task: str, channel: Channel) -> Data:
    """Where `task`, in `dag`, takes the channel's value from; walls are opened and order is noted on the way."""
    if channel.home is not None and (found := made(dag, channel)):
        dag.needs.setdefault(task, set()).add(found[0])
        kind = "Artifact" if channel.type.artifact else "Parameter"
        return {f"taskOutput{kind}": {"producerTask": found[0], f"output{kind}Key": found[1]}}
    if channel.root is dag:
        return dict(channel.source) or _input(channel, channel.name)
    return _input(channel, enter(dag, channel))


def enter(dag: Dag, channel: Channel) -> str:
    """Hand a value into a group from outside; returns the name of the group's input."""
    if channel.name not in dag.inputs and dag.parent is not None:
        dag.inputs[channel.name] = channel.type
        dag.given[channel.name] = take(dag.parent, dag.name, channel)
    return channel.name


def _input(channel: Channel, name: str) -> Data:
    return {"componentInputArtifact" if channel.type.artifact else "componentInputParameter": name}


def made(dag: Dag, channel: Channel) -> tuple[str, str] | None:
    """Task and output that make the value in `dag`, handed out of groups as needed; None if it is made elsewhere."""
    if channel.home is None:
        return None
    line = []
    for each in channel.home.line():
        if each is dag:
            break
        line.append(each)
    else:
        return None
    task, key = channel.key
    kind = channel.inner or channel.type
    for group in line:
        kind = channel.type if group.looped else kind
        group.outputs.setdefault(channel.name, (kind, [(task, key)]))
        task, key = group.name, channel.name
    return task, key


def follow(dag: Dag, task: str, home: Dag, producer: str) -> None:
    """Note that `task` comes after `producer`, at the level where the two are (in) tasks of the same DAG."""
    above = {id(each): each for each in home.line()}
    here, name = dag, task
    while id(here) not in above:
        if here.parent is None:
            return
        here, name = here.parent, here.name
    other = producer
    for each in home.line():
        if each is here:
            break
        other = each.name
    if other != name:
        here.needs.setdefault(name, set()).add(other)


def definitions(values: Iterable[tuple[str, Type]], section: str) -> Data:
    """Input or output definitions of a group."""
    found: Data = {}
    for name, kind in values:
        status = {"isOptional": True} if kind.name == "TASK_FINAL_STATUS" else {}
        found.setdefault("artifacts" if kind.artifact else "parameters", {})[name] = {**typed(kind), **status}
    return {section: found} if found else {}


def dag_outputs(dag: Dag) -> Data:
    """Where a DAG takes its outputs from; several sources stand for each other."""
    found: Data = {}
    for name, (kind, sources) in dag.outputs.items():
        if kind.artifact:
            selectors = [{"producerSubtask": task, "outputArtifactKey": key} for task, key in sources]
            found.setdefault("artifacts", {})[name] = {"artifactSelectors": selectors}
            continue
        selectors = [{"producerSubtask": task, "outputParameterKey": key} for task, key in sources]
        chosen = {"parameterSelectors": selectors}
        value = {"valueFromOneof": chosen} if len(selectors) > 1 else {"valueFromParameter": selectors[0]}
        found.setdefault("parameters", {})[name] = value
    return {"outputs": found} if found else {}


def inputs(given: dict[str, Data]) -> Data:
    """The inputs of a task."""
    found: Data = {}
    for name, value in given.items():
        artifact = "taskOutputArtifact" in value or "componentInputArtifact" in value
        found.setdefault("artifacts" if artifact else "parameters", {})[name] = value
    return {"inputs": found} if found else {}
