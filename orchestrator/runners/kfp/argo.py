"""How KFP's server lays a pipeline out as an Argo workflow, and which of its nodes stands for what.

A server with ML Metadata tells of a run only the nodes of the workflow: a display name, a state, times, and the ids of
the nodes that come next. An id is a hash of the node's full name, so whoever knows the layout knows the names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import COMPLETED, Dag, PipelineSpec, Task
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
    """`driver`, `task` (its own state), `executor` or `attempt`; `other` for what holds others together."""
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
    yield Node(workflow, workflow, (), "other")
    layout = _Layout(pipeline, platform, workflow, frozenset(present))
    driver = f"{workflow}.root-driver"
    yield from layout.existing(Node(driver, "root-driver", (), "driver"))
    yield from layout.existing(Node(f"{workflow}.root", "root", (), "task", (driver,)))
    if pipeline.root.dag:
        yield from layout.dag(f"{workflow}.root", (), pipeline.root.dag)


@dataclass(frozen=True, slots=True)
class _Layout:
    pipeline: PipelineSpec
    platform: PlatformSpec
    workflow: str
    present: frozenset[str]

    def existing(self, node: Node) -> Iterator[Node]:
        """The node, if it is there."""
        if self.has(node.name):
            yield node

    def has(self, name: str) -> bool:
        """Whether there is a node of that name."""
        return identity(self.workflow, name) in self.present

    def dag(self, prefix: str, around: Segments, dag: Dag) -> Iterator[Node]:
        """The nodes of a DAG. What ends a group hangs, as a hook, on the tasks it waits for."""
        for name, task in dag.tasks.items():
            component = graph.component_of(self.pipeline, task)
            segments = (*around, graph.segment(name, task, component))
            waits = tuple(f"{prefix}.{each}" for each in sorted(graph.upstream(task)))
            if task.trigger_policy and task.trigger_policy.strategy == COMPLETED:
                for before in sorted(graph.upstream(task)):
                    hook = f"{prefix}.{before}.onExit"
                    yield from self.existing(Node(hook, f"{before}.onExit", segments, "other", waits))
                    if task.parameter_iterator:
                        yield from self.loop(f"{hook}.{name}", name, segments, task, ())
                    else:
                        yield from self.task(hook, name, segments, task)
            elif task.parameter_iterator:
                yield from self.loop(f"{prefix}.{name}", name, segments, task, waits)
            else:
                yield from self.task(prefix, name, segments, task, waits)

    def loop(self, own: str, name: str, segments: Segments, task: Task, waits: tuple[str, ...]) -> Iterator[Node]:
        """The nodes of a loop and of its iterations, as many as there are."""
        driver, iterations = f"{own}.iteration-driver", "iteration-iterations"
        yield from self.existing(Node(own, name, segments, "task", waits))
        yield from self.existing(Node(driver, "iteration-driver", segments, "driver"))
        yield from self.existing(Node(f"{own}.{iterations}", iterations, segments, "other", (driver,)))
        for number in range(_MOST):
            shown = f"{iterations}({number}:{number})"
            each = f"{own}.{shown}"
            if not self.has(each):
                return
            inside = (*segments, graph.iteration(number))
            yield Node(each, shown, inside, "other", (driver,))
            yield from self.task(each, "iteration-item", inside, task)

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
        yield from self.existing(Node(driver, f"{name}-driver", segments, "driver", waits, "system-container-driver"))
        yield from self.existing(Node(own, name, segments, "task", (driver,)))
        if component.dag:
            yield from self.dag(own, segments, component.dag)
            return
        template = self._template(task, component.executor_label)
        yield from self.existing(Node(f"{own}.executor", "executor", segments, "executor", (), template))
        for attempt in range((task.retry_policy.max_retry_count if task.retry_policy else -1) + 1):
            node = Node(f"{own}.executor({attempt})", f"executor({attempt})", segments, "attempt", (), template)
            yield from self.existing(node)

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
