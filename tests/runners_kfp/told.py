"""The tasks of a run as a server without ML Metadata tells them (kubeflow/pipelines#13986, run.proto PipelineTask)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.events import Event, RunFinished, Status
from orchestrator.stores.artifacts import Artifact, Values
from tests.runners_kfp.layout import Story, leaves, stories

_STATES = {Status.SKIPPED: "CACHED", Status.NOT_TRIGGERED: "SKIPPED", Status.CANCELLED: "FAILED"}
_TYPES = {
    "system.Model": "Model",
    "system.Dataset": "Dataset",
    "system.HTML": "HTML",
    "system.Markdown": "Markdown",
    "system.Metrics": "Metric",
    "system.ClassificationMetrics": "ClassificationMetric",
}


def tasks(pipeline: PipelineSpec, events: Sequence[Event], run: str, created: float) -> list[dict[str, Any]]:
    """What the server has of them now. A task that waits has no entry; nor has one that was left out."""
    told = stories(events)
    root = _entry(run, (), "root", "ROOT", None, created)
    end = next((event for event in events if isinstance(event, RunFinished)), None)
    root["state"] = "RUNNING" if end is None else "SUCCEEDED" if end.status not in ("FAILED", "CANCELLED") else "FAILED"
    found = {(): root}
    for path, story in told.items():
        if story.status is Status.UNSCHEDULABLE or (story.status is not Status.RUNNING and _is_left_out(story)):
            continue
        _add(found, pipeline, tuple(path.split("/")), story, run, created, _untaken(told), set(told))
    for keys, entry in found.items():
        inside = [story for path, story in told.items() if path.startswith("/".join((*keys, "")))]
        if keys and inside and entry["state"] == "RUNNING" and all(story.status.final for story in inside):
            failed = any(story.status in (Status.FAILED, Status.UNSCHEDULABLE) for story in inside)
            entry.update(state="FAILED" if failed else "SUCCEEDED", end_time=_stamp(max(s.ended for s in inside)))
    return list(found.values())


def _untaken(told: Mapping[str, Story]) -> set[tuple[str, ...]]:
    """The places in which nothing was triggered."""
    keys = {tuple(path.split("/")): story.status is Status.NOT_TRIGGERED for path, story in told.items()}
    inside = {path[:depth] for path in keys for depth in range(1, len(path) + 1)}
    return {each for each in inside if all(no for path, no in keys.items() if path[: len(each)] == each)}


def _is_left_out(story: Story) -> bool:
    return not story.attempts and (
        story.status is Status.CANCELLED
        or (story.status is Status.NOT_TRIGGERED and "condition is false" not in story.reason)
    )


def _add(
    found: dict[tuple[str, ...], dict[str, Any]],
    pipeline: PipelineSpec,
    keys: tuple[str, ...],
    story: Story,
    run: str,
    created: float,
    untaken: set[tuple[str, ...]],
    told: set[str],
) -> None:
    component, name, in_loop = pipeline.root, "", False
    for depth, key in enumerate(keys, 1):
        path = keys[:depth]
        if in_loop:
            in_loop, kind, number = False, "DAG" if component.dag else "RUNTIME", int(key)
        else:
            assert component.dag
            task = component.dag.tasks[key]
            component, name, number = pipeline.components[task.component_ref.name], key, None
            in_loop = bool(task.parameter_iterator)
            conditional = bool(task.trigger_policy and task.trigger_policy.condition)
            kind = "LOOP" if in_loop else "DAG" if component.dag else "RUNTIME"
            kind = "CONDITION_BRANCH" if kind == "DAG" and conditional else kind
        if path not in found:
            found[path] = _entry(run, path, name, kind, found[path[:-1]]["task_id"], created)
            found[path]["state"] = "RUNNING"
            if number is not None:
                found[path]["type_attributes"] = {"iteration_index": str(number)}
        if kind == "CONDITION_BRANCH" and path in untaken and leaves(pipeline, component, path) <= told:
            # What is inside a branch that is not taken is never made.
            found[path].update(state="SKIPPED", end_time=_stamp(story.ended))
            return
    entry = found[keys]
    entry.update(
        state=_STATES.get(story.status, str(story.status)),
        create_time=_stamp(story.started),
        pods=[{"name": f"{run[:8]}-{keys[-1]}-driver", "uid": str(uuid.uuid4()), "type": "DRIVER"}],
        scope_path=".".join(["root", *(key for key in keys if not key.isdigit())]),
    )
    for number in range(len(story.attempts)):
        entry["pods"].append({"name": f"{run[:8]}-{'-'.join(keys)}-{number}", "uid": "", "type": "EXECUTOR"})
    if story.ended:
        entry["end_time"] = _stamp(story.ended)
    if story.reason and story.status is Status.FAILED:
        entry["status_metadata"] = {"message": story.reason}
    if story.inputs is not None:
        entry["inputs"] = _values(story.inputs)
    if story.outputs is not None and story.status.good:
        entry["outputs"] = _values(story.outputs)


def _entry(run: str, path: tuple[str, ...], name: str, kind: str, parent: str | None, created: float) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "display_name": name,
        "task_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run}{path}")),
        "run_id": run,
        "create_time": _stamp(created),
        "type": kind,
    }
    return {**entry, "parent_task_id": parent} if parent else entry


def _values(values: Values) -> dict[str, Any]:
    return {
        "parameters": [
            {"value": value, "type": "OUTPUT", "parameter_key": name} for name, value in values.parameters.items()
        ],
        "artifacts": [
            {"artifacts": [_artifact(each) for each in row], "type": "OUTPUT", "artifact_key": name}
            for name, row in values.artifacts.items()
        ],
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "artifact_id": str(uuid.uuid5(uuid.NAMESPACE_URL, artifact.uri)),
        "name": artifact.name,
        "type": _TYPES.get(artifact.type, "Artifact"),
        "uri": artifact.uri,
        "metadata": dict(artifact.metadata),
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
