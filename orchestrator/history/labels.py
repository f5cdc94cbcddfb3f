"""The labels and annotations a pipeline gives its tasks: on a cluster their pods carry them, here the record does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator import ir
from orchestrator.history import specification
from orchestrator.stores.metadata import RunRecord


def of(run: RunRecord) -> dict[str, dict[str, Any]]:
    """By the path of a task in the pipeline: its `labels` and `annotations`, as far as it has any."""
    if "podMetadata" not in run.ir:
        return {}
    pipeline, platform = ir.load(run.ir, run.id)
    kubernetes = platform.platforms.kubernetes
    executors = kubernetes.deployment_spec.executors if kubernetes else {}
    found: dict[str, dict[str, Any]] = {}
    for path, use in specification.uses(pipeline).items():
        executor = executors.get(use.component.executor_label)
        if executor and executor.pod_metadata:
            held = {"labels": executor.pod_metadata.labels, "annotations": executor.pod_metadata.annotations}
            found[path] = {name: dict(each) for name, each in held.items() if each}
    return found


def told(found: Mapping[str, dict[str, Any]], path: str) -> dict[str, Any]:
    """What one task of a run has; the iterations of a loop have those of the task inside."""
    return found.get("/".join(part for part in path.split("/") if not part.isdigit()), {})
