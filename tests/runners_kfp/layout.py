"""The nodes of an Argo workflow for a run of the local runner, as KFP's server with ML Metadata tells them.

Written from kubeflow/pipelines (backend/src/v2/compiler/argocompiler, api_converter.go) and from how Argo links its
nodes: a node's children are what it holds first, and what comes after it; of a group, what comes after hangs on the
last nodes inside it. It knows nothing of orchestrator.runners.kfp, which it judges.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.ir.spec import COMPLETED, Component, Dag, PipelineSpec, Task
from orchestrator.runners.events import Event, Status, TaskFinished, TaskRetried, TaskStarted


@dataclass
class Story:
    """What the events so far say of one task."""

    started: float = 0
    ended: float = 0
    status: Status = Status.PENDING
    reason: str = ""
    attempts: list[tuple[float, float]] = field(default_factory=list)
    """When each began, and ended."""
    inputs: Any = None
    outputs: Any = None


def stories(events: Sequence[Event]) -> dict[str, Story]:
    """What the events say, by path."""
    found: dict[str, Story] = {}
    for event in events:
        match event:
            case TaskStarted():
                story = found.setdefault(event.task.path, Story(started=event.at))
                story.status, story.inputs = Status.RUNNING, event.inputs
                story.attempts.append((event.at, 0))
            case TaskRetried() if event.task.path in found:  # Not a pipeline inside, which is begun again as a whole.
                story = found[event.task.path]
                story.attempts[-1] = (story.attempts[-1][0], event.at)
            case TaskFinished():
                story = found.setdefault(event.task.path, Story(started=event.started or event.at))
                story.status, story.ended, story.reason = event.status, event.at, event.reason
                story.inputs, story.outputs = event.inputs, event.outputs
                if story.attempts:
                    story.attempts[-1] = (story.attempts[-1][0], event.at)
            case _:
                pass
    return found


@dataclass
class Node:
    """A node of a workflow."""

    name: str
    shown: str
    phase: str
    started: float
    ended: float
    children: list[str] = field(default_factory=list)


@dataclass
class Part:
    """What a task is in the workflow: its first node, and those that what follows hangs on."""

    first: str
    last: list[str]
    phase: str


class Layout:
    """A workflow as it is now."""

    def __init__(self, pipeline: PipelineSpec, events: Sequence[Event], workflow: str, created: float) -> None:
        self.pipeline, self.workflow, self.created = pipeline, workflow, created
        self.stories = stories(events)
        self.nodes: dict[str, Node] = {}

    def build(self) -> dict[str, Node]:
        """All nodes that are there now."""
        root = self.pipeline.root
        assert root.dag
        top = self.add(self.workflow, self.workflow, "Running", self.created, 0)
        driver = self.add(f"{self.workflow}.root-driver", "root-driver", "Succeeded", self.created, self.created)
        top.children.append(driver.name)
        if self.stories:
            driver.children.append(f"{self.workflow}.root")
            phase = self.group(f"{self.workflow}.root", "root", (), root.dag).phase
            top.phase = phase
            if phase != "Running":
                top.ended = self.nodes[f"{self.workflow}.root"].ended
        return self.nodes

    def add(self, name: str, shown: str, phase: str, started: float, ended: float) -> Node:
        node = self.nodes[name] = Node(name, shown, phase, started, ended)
        return node

    def group(self, name: str, shown: str, path: tuple[str, ...], dag: Dag) -> Part:
        """A DAG that has begun: what is in it, linked."""
        told = [story for where, story in self.stories.items() if where.startswith("/".join((*path, "")))]
        started = min((story.started for story in told), default=self.created)
        node = self.add(name, shown, "Running", started, 0)
        parts: dict[str, Part | None] = {}
        exits = {key for key, task in dag.tasks.items() if is_exit(task)}
        waiting = [key for key in dag.tasks if key not in exits]
        while waiting:
            for key in list(waiting):
                task = dag.tasks[key]
                before = [each for each in dependencies(task) if each not in exits]
                if any(each in waiting for each in before):
                    continue
                waiting.remove(key)
                parts[key] = part = self.task(name, key, key, (*path, key), task)
                if part is None:
                    continue
                if not before:
                    node.children.append(part.first)
                for each in before:
                    for last in (parts[each] or Part("", [], "")).last:
                        self.nodes[last].children.append(part.first)
        for key in exits:
            self.hook(name, key, (*path, key), dag.tasks[key])
        phases = [part.phase if part else "" for part in parts.values()]
        over = all(phase not in ("", "Running", "Pending") for phase in phases)
        if over:
            node.phase = "Failed" if "Failed" in phases or "Error" in phases else "Succeeded"
            node.ended = max([story.ended for story in told], default=started)
        ends = {each for key in dag.tasks for each in dependencies(dag.tasks[key]) if key not in exits}
        last = [each for key, part in parts.items() if part and key not in ends for each in part.last]
        return Part(name, last, node.phase)

    def hook(self, around: str, key: str, path: tuple[str, ...], task: Task) -> None:
        """A task that ends a group: it hangs on what it waits for."""
        for before in sorted(dependencies(task))[:1]:
            if f"{around}.{before}" not in self.nodes or not self.inside(path):
                continue
            name = f"{around}.{before}.onExit"
            story = self.inside(path)[0]
            hook = self.add(name, f"{before}.onExit", "Running", story.started, 0)
            self.nodes[f"{around}.{before}"].children.append(name)
            part = self.task(name, key, key, path, task)
            if part:
                hook.children.append(part.first)
                hook.phase, hook.ended = part.phase, story.ended

    def inside(self, path: tuple[str, ...]) -> list[Story]:
        where = "/".join(path)
        return [story for each, story in self.stories.items() if each == where or each.startswith(f"{where}/")]

    def task(self, around: str, shown: str, key: str, path: tuple[str, ...], task: Task) -> Part | None:
        """A task, where it has begun or was passed over."""
        told = self.inside(path)
        if not told:
            return None
        component = self.pipeline.components[task.component_ref.name]
        if task.parameter_iterator and not path[-1].isdigit():
            return self.loop(around, shown, path, task, component)
        name, driver = f"{around}.{shown}", f"{around}.{shown}-driver"
        executor = self.pipeline.deployment_spec.executors.get(component.executor_label)
        passed = {story.status for story in told} <= {Status.NOT_TRIGGERED, Status.UNSCHEDULABLE, Status.CANCELLED}
        passed = passed and not any(story.attempts for story in told)
        passed = passed and leaves(self.pipeline, component, path) <= set(self.stories)
        at = told[0].started
        if executor and executor.container is None:
            phase = "Omitted" if passed else {"FAILED": "Failed", "RUNNING": "Running"}.get(told[0].status, "Succeeded")
            self.add(name, shown, phase, at, told[0].ended)
            return Part(name, [name], phase)
        false = passed and "condition is false" in told[0].reason
        self.add(driver, f"{shown}-driver", "Succeeded" if false or not passed else "Omitted", at, at)
        self.nodes[driver].children.append(name)
        if passed:
            phase = "Skipped" if false else "Omitted"
            self.add(name, shown, phase, at, at)
            return Part(driver, [name], phase)
        if component.dag:
            part = self.group(name, shown, path, component.dag)
            return Part(driver, part.last, part.phase)
        return self.leaf(name, shown, driver, told[0], task)

    def leaf(self, name: str, shown: str, driver: str, story: Story, task: Task) -> Part:
        """A container task: a DAG of one executor, which is skipped when the outputs come from the cache."""
        phases = {Status.RUNNING: "Running", Status.FAILED: "Failed", Status.CANCELLED: "Failed"}
        phase = phases.get(story.status, "Succeeded")
        node = self.add(name, shown, phase, story.started, story.ended)
        executor = f"{name}.executor"
        node.children.append(executor)
        if story.status is Status.SKIPPED:
            self.add(executor, "executor", "Skipped", story.started, story.started)
            return Part(driver, [executor], phase)
        top = self.add(executor, "executor", phase, story.started, story.ended)
        if not task.retry_policy:
            return Part(driver, [executor], phase)
        last = executor
        for number, (began, ended) in enumerate(story.attempts):
            last = f"{executor}({number})"
            done = number < len(story.attempts) - 1
            self.add(last, f"executor({number})", "Failed" if done else phase, began, ended)
            top.children.append(last)
        return Part(driver, [last], phase)

    def loop(self, around: str, shown: str, path: tuple[str, ...], task: Task, component: Component) -> Part:
        """A loop: a driver that counts, and a group with an item per iteration."""
        told = self.inside(path)
        name = f"{around}.{shown}"
        where = "/".join(path)
        numbers = {each[len(where) + 1 :].partition("/")[0] for each in self.stories if each.startswith(f"{where}/")}
        # Passed over: what is inside was told as one.
        if where in self.stories or not all(number.isdigit() for number in numbers):
            phase = "Failed" if told[0].status is Status.FAILED else "Omitted"
            loop = self.add(name, shown, phase, told[0].started, told[0].ended)
            if phase == "Failed":
                self.add(f"{name}.iteration-driver", "iteration-driver", phase, told[0].started, told[0].ended)
                loop.children.append(f"{name}.iteration-driver")
            return Part(name, [name], phase)
        loop = self.add(name, shown, "Running", told[0].started, 0)
        self.add(f"{name}.iteration-driver", "iteration-driver", "Succeeded", told[0].started, told[0].started)
        loop.children.append(f"{name}.iteration-driver")
        all_ = self.add(f"{name}.iteration-iterations", "iteration-iterations", "Running", told[0].started, 0)
        self.nodes[f"{name}.iteration-driver"].children.append(all_.name)
        last: list[str] = []
        phases: list[str] = []
        for number in sorted(map(int, numbers)):
            shown_each = f"iteration-iterations({number}:{number})"
            item = self.add(f"{name}.{shown_each}", shown_each, "Running", told[0].started, 0)
            all_.children.append(item.name)
            part = self.task(item.name, "iteration-item", path[-1], (*path, str(number)), task)
            assert part
            item.children.append(part.first)
            item.phase = part.phase
            last += part.last
            phases.append(part.phase)
        if not {"Running", "Pending"} & set(phases):
            phase = "Failed" if "Failed" in phases else "Succeeded"
            ended = max(story.ended for story in told)
            for node in (loop, all_):
                node.phase, node.ended = phase, ended
        return Part(name, last or [all_.name], loop.phase)


def details(layout: Mapping[str, Node], workflow: str, run: str, created: float) -> list[dict[str, Any]]:
    """The nodes as the API tells them, in the order of their ids' hash as a database might give them."""
    listed = sorted(layout.values(), key=lambda node: fnv(node.name[::-1]))
    return [
        {
            "run_id": run,
            "task_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run}{node.name}")),
            "display_name": node.shown,
            "create_time": stamp(created),
            "start_time": stamp(node.started),
            "end_time": stamp(node.ended) if node.ended else "0001-01-01T00:00:00Z",
            **({"state": state} if (state := _STATES[node.phase]) else {}),
            "child_tasks": [{"pod_name": identity(workflow, each)} for each in node.children],
            "state_history": [{"update_time": stamp(node.started), "state": state or "RUNTIME_STATE_UNSPECIFIED"}],
        }
        for node in listed
    ]


_STATES = {
    "Pending": "PENDING",
    "Running": "RUNNING",
    "Succeeded": "SUCCEEDED",
    "Skipped": "SKIPPED",
    "Failed": "FAILED",
    "Error": "FAILED",
    "Omitted": "",
}


def dependencies(task: Task) -> set[str]:
    """What a task waits for, said or implied."""
    found = set(task.dependent_tasks)
    for each in task.inputs.parameters.values():
        if each.task_output_parameter:
            found.add(each.task_output_parameter.producer_task)
    for one in task.inputs.artifacts.values():
        if one.task_output_artifact:
            found.add(one.task_output_artifact.producer_task)
    return found


def leaves(pipeline: PipelineSpec, component: Component, path: tuple[str, ...]) -> set[str]:
    """The paths of the programs inside, but for those in loops."""
    if component.dag is None:
        return {"/".join(path)}
    found: set[str] = set()
    for key, task in component.dag.tasks.items():
        if not task.parameter_iterator:
            found |= leaves(pipeline, pipeline.components[task.component_ref.name], (*path, key))
    return found


def is_exit(task: Task) -> bool:
    """Whether it runs whatever came before."""
    return bool(task.trigger_policy and task.trigger_policy.strategy == COMPLETED)


def identity(workflow: str, name: str) -> str:
    """An id, as Argo makes it."""
    return workflow if name == workflow else f"{workflow}-{fnv(name)}"


def fnv(text: str) -> int:
    """FNV-1a, 32 bits."""
    return functools.reduce(lambda value, byte: ((value ^ byte) * 0x01000193) % 2**32, text.encode(), 0x811C9DC5)


def stamp(at: float) -> str:
    """A time with whole seconds, as the nodes of a workflow have."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
