"""The tasks of a run on a server without ML Metadata: it tells inputs and outputs, and whose task is whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.ir.spec import Component, PipelineSpec
from orchestrator.runners import arguments
from orchestrator.runners.events import Status
from orchestrator.runners.kfp import paths
from orchestrator.runners.kfp.seen import Attempt, Seen, seconds
from orchestrator.stores.artifacts import Artifact, Values

_STATUS = {
    "RUNNING": Status.RUNNING,
    "SUCCEEDED": Status.SUCCEEDED,
    "CACHED": Status.SKIPPED,
    "SKIPPED": Status.NOT_TRIGGERED,
    "FAILED": Status.FAILED,
}
Told = Mapping[str, Any]


def tasks(told: Iterable[Told], pipeline: PipelineSpec) -> dict[str, Seen]:
    """What is seen of each task, by our path."""
    known = {str(each.get("task_id", "")): each for each in told}
    found: dict[str, Seen] = {}
    for each in known.values():
        keys = _keys(each, known)
        place = paths.follow(pipeline, keys)
        if place is not None:
            found["/".join(keys)] = _seen(each, place[1])
    return found


def _keys(task: Told, known: Mapping[str, Told]) -> tuple[str, ...]:
    """The path of a task; () for the root. An iteration has the name of its loop and a number of its own."""
    keys: list[str] = []
    while True:
        above = known.get(str(task.get("parent_task_id") or ""))
        if above is None:
            return tuple(reversed(keys))
        number = (task.get("type_attributes") or {}).get("iteration_index")
        inside = above.get("type") == "LOOP" and number is not None
        keys.append(str(int(number)) if inside and number is not None else str(task.get("name", "")))
        task = above


def _seen(task: Told, component: Component) -> Seen:
    pods = tuple(str(pod.get("name")) for pod in task.get("pods") or [] if pod.get("type") == "EXECUTOR")
    started, ended = seconds(task.get("create_time")), seconds(task.get("end_time"))
    status = _STATUS.get(str(task.get("state", "")), Status.PENDING)
    if status is Status.NOT_TRIGGERED and (task.get("type_attributes") or {}).get("iteration_count") in (0, "0"):
        status = Status.SUCCEEDED  # A loop over nothing.
    reason = " ".join(str((task.get("status_metadata") or {}).get("message", "")).split())
    history = [each for each in task.get("state_history") or [] if each.get("state") == "FAILED"]
    ends = [seconds(each.get("update_time")) for each in history][: max(0, len(pods) - 1)]
    attempts = tuple(
        Attempt(number, started, ends[number - 1] if number <= len(ends) else started, number < len(pods))
        for number in range(1, len(pods) + 1)
    )
    inputs, outputs = task.get("inputs") or {}, task.get("outputs") or {}
    return Seen(
        status,
        started,
        ended if status.final else 0,
        reason,
        pods,
        attempts if len(attempts) > 1 else (),
        _values(inputs, component, of_inputs=True),
        _values(outputs, component, of_inputs=False) if status.good else None,
    )


def _values(told: Told, component: Component, *, of_inputs: bool) -> Values:
    declared = component.input_definitions if of_inputs else component.output_definitions
    parameters: dict[str, Any] = {}
    for each in told.get("parameters") or []:
        name = str(each.get("parameter_key", ""))
        kind = declared.parameters[name].parameter_type if name in declared.parameters else ""
        parameters[name] = arguments.cast(each.get("value"), kind)
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for row in told.get("artifacts") or []:
        name = str(row.get("artifact_key", ""))
        title = declared.artifacts[name].artifact_type.title if name in declared.artifacts else ""
        made = tuple(_artifact(each, title) for each in row.get("artifacts") or [])
        artifacts[name] = (*artifacts.get(name, ()), *made)
    return Values(parameters, artifacts)


def _artifact(told: Told, title: str) -> Artifact:
    """Its type as the pipeline declares it: the server knows only KFP's own."""
    kind = title or f"system.{told.get('type') or 'Artifact'}"
    metadata = told.get("metadata") or {}
    return Artifact(str(told.get("name", "")), kind, str(told.get("uri") or ""), metadata=dict(metadata))
