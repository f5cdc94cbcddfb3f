"""How KFP's server lays a pipeline out as an Argo workflow, and which of its nodes stands for what.

A server with ML Metadata tells of a run only the nodes of the workflow: a display name, a state, times, and the ids of
the nodes that come next. An id is a hash of the node's full name, so whoever knows the layout knows the names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import COMPLETED, Dag, PipelineSpec, RetryPolicy, Task
from orchestrator.runners.local import graph
from orchestrator.runners.local.graph import Segments

_NO_PROGRAM = ("argostub/createpvc", "argostub/deletepvc")
_MOST = 100_000
"""Iterations of a loop that are looked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a workflow, and what it stands for."""

    name: str
    """In full, e.g. `penguins-x7k2p.root.train.executor`."""
    shown: str
    """The last part of it, which is all the server tells."""
    segments: Segments
    """The task, group or iteration it belongs to."""
    role: str
    """`driver`, `task` (its own state), `executor`, or one of their tries, e.g. `driver try`; `other` for what holds
    others together."""
    waits: tuple[str, ...] = ()
    """The nodes, in full, it comes after."""
    template: str = ""
    """Of one with a pod: what that pod's name has in the middle."""

    @property
    def holder(self) -> str:
        """The node this is directly inside of."""
        if self.name.endswith(".onExit"):
            return self.name.removesuffix(".onExit")
        return self.name[: self.name.rfind("(" if self.name.endswith(")") else ".")]


def identity(workflow: str, name: str) -> str:
    """The id of a node."""
    return workflow if name == workflow else f"{workflow}-{_hash(name)}"


def pod(workflow: str, node: Node) -> str:
    """The name of a node's pod."""
    return f"{workflow}-{node.template}-{_hash(node.name)}"


def nodes(pipeline: PipelineSpec, platform: PlatformSpec, workflow: str, present: Collection[str]) -> Iterator[Node]:
    """The nodes whose ids are among those that are present, and the workflow's own."""
    layout = _Layout(pipeline, platform, workflow, frozenset(present))
    yield from layout.there(Node(workflow, workflow, (), "other"))
    base = layout.within(workflow)
    driver = f"{base}.root-driver"
    yield from layout.existing(Node(driver, "root-driver", (), "driver", (), "system-dag-driver"))
    yield from layout.existing(Node(f"{base}.root", "root", (), "task", (driver,)))
    if pipeline.root.dag:
        yield from layout.dag(layout.within(f"{base}.root"), (), pipeline.root.dag)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where KFP's own configuration of Argo is in force, every node but a group of iterations can be tried again: what
    would be at `NAME` is at `NAME(0)`, `NAME(1)`, ... then, and what is inside it is inside the last of these."""

    pipeline: PipelineSpec
    platform: PlatformSpec
    workflow: str
    present: frozenset[str]

    def existing(self, node: Node) -> Iterator[Node]:
        """The node and its tries, if it is there."""
        if self.has(node.name):
            yield from self.there(node)

    def there(self, node: Node) -> Iterator[Node]:
        """The node and its tries."""
        yield node
        role = node.role if node.role == "other" else f"{node.role} try"
        for number, name in enumerate(self._tries(node.name)):
            yield replace(node, name=name, shown=f"{node.shown}({number})", role=role, waits=())

    def has(self, name: str) -> bool:
        """Whether there is a node of that name."""
        return identity(self.workflow, name) in self.present

    def within(self, name: str) -> str:
        """What the names of the nodes inside a node begin with."""
        return [name, *self._tries(name)][-1]

    def _tries(self, name: str) -> list[str]:
        found: list[str] = []
        while self.has(each := f"{name}({len(found)})"):
            found.append(each)
        return found

    def dag(self, prefix: str, around: Segments, dag: Dag, policy: RetryPolicy | None = None) -> Iterator[Node]:
        """The nodes of a DAG. What ends a group hangs, as a hook, on the tasks it waits for.

        Its retry policy is that of every task inside that has none.
        """
        for name, bare in dag.tasks.items():
            task = bare.model_copy(update={"retry_policy": bare.retry_policy or policy})
            component = graph.component_of(self.pipeline, task)
            segments = (*around, graph.segment(name, task, component))
            waits = tuple(f"{prefix}.{each}" for each in sorted(graph.upstream(task)))
            if task.trigger_policy and task.trigger_policy.strategy == COMPLETED:
                for before in sorted(graph.upstream(task)):
                    hook = f"{prefix}.{before}.onExit"
                    yield from self.existing(Node(hook, f"{before}.onExit", segments, "other", waits))
                    yield from self._one_or_many(self.within(hook), name, segments, task, ())
            else:
                yield from self._one_or_many(prefix, name, segments, task, waits)

    def _one_or_many(
        self, prefix: str, name: str, segments: Segments, task: Task, waits: tuple[str, ...]
    ) -> Iterator[Node]:
        if task.parameter_iterator:
            return self.loop(f"{prefix}.{name}", name, segments, task, waits)
        return self.task(prefix, name, segments, task, waits)

    def loop(self, own: str, name: str, segments: Segments, task: Task, waits: tuple[str, ...]) -> Iterator[Node]:
        """The nodes of a loop and of its iterations, as many as there are."""
        inside, iterations = self.within(own), "iteration-iterations"
        driver = f"{inside}.iteration-driver"
        yield from self.existing(Node(own, name, segments, "task", waits))
        yield from self.existing(Node(driver, "iteration-driver", segments, "driver", (), "system-dag-driver"))
        yield from self.existing(Node(f"{inside}.{iterations}", iterations, segments, "other", (driver,)))
        for number in range(_MOST):
            shown = f"{iterations}({number}:{number})"
            each = f"{inside}.{shown}"
            if not self.has(each):
                return
            place = (*segments, graph.iteration(number))
            yield from self.there(Node(each, shown, place, "other", (driver,)))
            yield from self.task(self.within(each), "iteration-item", place, task)

    def task(
        self, prefix: str, name: str, segments: Segments, task: Task, waits: tuple[str, ...] = ()
    ) -> Iterator[Node]:
        """The nodes of a task: its driver, and either its executor or the DAG inside it."""
        component = graph.component_of(self.pipeline, task)
        own, driver = f"{prefix}.{name}", f"{prefix}.{name}-driver"
        executor = self.pipeline.deployment_spec.executors.get(component.executor_label)
        if executor and (executor.container is None or executor.container.image in _NO_PROGRAM):
            template = "system-importer" if executor.importer else "system-container-driver"
            yield from self.existing(Node(own, name, segments, "task", waits, template))
            return
        template = "system-dag-driver" if component.dag else "system-container-driver"
        yield from self.existing(Node(driver, f"{name}-driver", segments, "driver", waits, template))
        yield from self.existing(Node(own, name, segments, "task", (driver,)))
        inside = self.within(own)
        if component.dag:
            yield from self.dag(inside, segments, component.dag, task.retry_policy)
            return
        template = self._template(task, component.executor_label)
        yield from self.existing(Node(f"{inside}.executor", "executor", segments, "executor", (), template))

    def _template(self, task: Task, label: str) -> str:
        """The name of the template of a task's pod, which depends on what the task asks for."""
        template = "retry-system-container-impl" if task.retry_policy else "system-container-impl"
        kubernetes = self.platform.platforms.kubernetes
        config = kubernetes.deployment_spec.executors.get(label) if kubernetes else None
        metadata = config.pod_metadata if config else None
        if metadata is None:
            return template
        return f"metadata-{len(metadata.annotations)}-{len(metadata.labels)}-{template}"


def _hash(name: str) -> int:
    """FNV-1a of 32 bits."""
    value = 2_166_136_261
    for byte in name.encode("utf-8"):
        value = ((value ^ byte) * 16_777_619) & 0xFFFFFFFF
    return value
