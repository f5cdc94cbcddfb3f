"""The tasks of a run on a server with ML Metadata, which tells the nodes of an Argo workflow and not their names.

Each detail has a display name and the ids of what follows it. The layout (`argo`) says which names those ids stand for,
and so where the detail is: what it holds names it, and what follows it must wait for it. Of details that nothing
follows, and that look alike, the one whose times fit best is taken.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.events import Status
from orchestrator.runners.kfp import argo
from orchestrator.runners.kfp.argo import Node
from orchestrator.runners.kfp.seen import Attempt, Seen, seconds

_STATUS = {
    "PENDING": Status.PENDING,
    "RUNNING": Status.RUNNING,
    "SUCCEEDED": Status.SUCCEEDED,
    "SKIPPED": Status.NOT_TRIGGERED,
    "FAILED": Status.FAILED,
    "CANCELED": Status.CANCELLED,
}


_FAR = 1e9


@dataclass(frozen=True, slots=True)
class Detail:
    """A node of the workflow as the server tells it."""

    shown: str
    status: Status | None
    """None for one that was left out: what it waits for did not end well."""
    started: float
    ended: float
    follows: frozenset[str]


def tasks(told: Iterable[Mapping[str, Any]], pipeline: PipelineSpec, platform: PlatformSpec) -> dict[str, Seen]:
    """What is seen of each task, by our path."""
    details = [_detail(each) for each in told]
    present = {each for detail in details for each in detail.follows}
    workflow = next((each.rpartition("-")[0] for each in sorted(present)), "")
    if not workflow:
        return {}
    nodes = list(argo.nodes(pipeline, platform, workflow, present))
    placed = _placed(details, nodes, workflow)
    return dict(_tasks(placed, workflow))


def _detail(told: Mapping[str, Any]) -> Detail:
    follows = [str(child.get("pod_name") or child.get("task_id") or "") for child in told.get("child_tasks") or []]
    started, ended = seconds(told.get("start_time")), seconds(told.get("end_time"))
    status = _STATUS.get(str(told.get("state", "")))
    return Detail(str(told.get("display_name", "")), status, started, ended, frozenset(follows) - {""})


def _placed(details: Sequence[Detail], nodes: Sequence[Node], workflow: str) -> dict[Node, Detail]:
    """Which detail tells of which node."""
    places = _Places(nodes, workflow)
    placed: dict[Node, Detail] = {}
    open_: dict[str, list[tuple[Detail, list[Node]]]] = defaultdict(list)
    for detail in details:
        fitting = places.fitting(detail)
        if len(fitting) == 1:
            placed[fitting[0]] = detail
        else:
            open_[detail.shown].append((detail, fitting))
    known = {node.name: detail for node, detail in placed.items()}
    # Those whose followers leave the fewest choices first, so that the others do not take their places.
    for waiting in open_.values():
        for detail, fitting in sorted(waiting, key=lambda each: (len(each[1]), each[0].started)):
            free = [node for node in fitting if node.name not in known]
            if free:
                node = _nearest(detail, free, known)
                placed[node] = known[node.name] = detail
    return placed


class _Places:
    """The nodes by id, by name and by what is shown of them."""

    def __init__(self, nodes: Sequence[Node], workflow: str) -> None:
        self.by_id = {argo.identity(workflow, node.name): node for node in nodes}
        self.by_name = {node.name: node for node in nodes}
        self.names = sorted(self.by_name)
        self.by_shown: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            self.by_shown[node.shown].append(node)

    def fitting(self, detail: Detail) -> list[Node]:
        """The nodes a detail may tell of: what holds what follows, else what that waits for or the end of it."""
        after = [self.by_id[each] for each in detail.follows if each in self.by_id]
        for each in after:
            holder = self.by_name.get(each.holder)
            if holder and holder.shown == detail.shown:
                return [holder]
        left: set[str] | None = None
        for each in after:
            before = {name for awaited in each.waits for name in self._at(awaited)}
            left = before if left is None else left & before
        found = [self.by_name[name] for name in sorted(left or ()) if self.by_name[name].shown == detail.shown]
        return found or self.by_shown[detail.shown]

    def _at(self, name: str) -> Iterator[str]:
        """A node and all inside it."""
        if name in self.by_name:
            yield name
        for mark in ".(":
            index = bisect.bisect_left(self.names, name + mark)
            while index < len(self.names) and self.names[index].startswith(name + mark):
                yield self.names[index]
                index += 1


def _nearest(detail: Detail, free: Sequence[Node], known: Mapping[str, Detail]) -> Node:
    """The node whose surroundings have the times that fit best."""
    best, least = free[0], _FAR
    for node in free:
        distance = _distance(node, detail, known)
        if distance < least:
            best, least = node, distance
        if not least:
            break
    return best


def _distance(node: Node, detail: Detail, known: Mapping[str, Detail]) -> float:
    """How far the times of a detail are from those of what stands around the node, as far as that is known."""
    if node.role == "task":
        driver = known.get(f"{node.name}-driver")
        return abs(driver.ended - detail.started) if driver else _FAR
    around = known.get(node.holder)
    if around is None:
        return _FAR
    # Of a task that is tried once, or the last time, the try and the task come to the same.
    differs = 60 if node.role.endswith(" try") and around.status is not detail.status else 0
    return abs(around.started - detail.started) + abs(around.ended - detail.ended) + differs


def _tasks(placed: Mapping[Node, Detail], workflow: str) -> Iterator[tuple[str, Seen]]:
    """The nodes that belong together as one task each; "" is the whole of them."""
    together: dict[str, dict[str, list[tuple[Node, Detail]]]] = defaultdict(lambda: defaultdict(list))
    for node, detail in placed.items():
        if node.role != "other":
            together["/".join(each.key for each in node.segments)][node.role].append((node, detail))
    for path, roles in together.items():
        seen = _seen(roles, workflow)
        if seen is not None:
            yield path, seen


def _seen(roles: Mapping[str, list[tuple[Node, Detail]]], workflow: str) -> Seen | None:
    drivers = [detail for _, detail in roles.get("driver", [])]
    failed = next((each for each in drivers if each.status is Status.FAILED), None)
    if failed:
        pods = _pods(roles, workflow, "driver")
        return Seen(Status.FAILED, failed.started, failed.ended, pods=pods, of_driver=True)
    if not roles.get("task"):
        if not drivers:
            return None
        pods = _pods(roles, workflow, "driver")
        return Seen(Status.PENDING, min(each.started for each in drivers), pods=pods, of_driver=True)
    task = roles["task"][0][1]
    executors = [detail for _, detail in roles.get("executor", [])]
    status = task.status
    if status is None:
        return None
    pods = _pods(roles, workflow, "executor") or _pods(roles, workflow, "task")
    if executors and executors[0].status is Status.NOT_TRIGGERED and status is not Status.FAILED:
        status = Status.SKIPPED if status is Status.SUCCEEDED else status
        pods = ()
    tries = sorted(roles.get("executor try", []), key=lambda each: int(each[0].shown[len("executor(") : -1]))
    if status is Status.RUNNING and executors and (tries or roles["executor"])[-1][1].status is Status.PENDING:
        status = Status.PENDING if len(tries) < 2 else status  # Its pod is not there yet: no place, or no image.
    attempts = tuple(
        Attempt(number, each.started, each.ended, each.status is Status.FAILED)
        for number, (_, each) in enumerate(tries, 1)
    )
    return Seen(status, task.started, task.ended if status.final else 0, "", pods, attempts)


def _pods(roles: Mapping[str, list[tuple[Node, Detail]]], workflow: str, role: str) -> tuple[str, ...]:
    """The pods of a role: of its tries, where there are any."""
    placed = roles.get(f"{role} try") or roles.get(role, [])
    found = sorted((each for each, _ in placed if each.template), key=lambda each: (len(each.name), each.name))
    return tuple(argo.pod(workflow, node) for node in found)
