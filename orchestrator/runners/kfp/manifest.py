"""A pipeline as resources of Kubernetes, for servers that keep their pipelines there: `kubectl apply` uploads it."""

from __future__ import annotations

from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec


def resources(pipeline: PipelineSpec, platform: PlatformSpec, *, namespace: str = "") -> tuple[dict[str, Any], ...]:
    """The `Pipeline` and its `PipelineVersion` (pipelines.kubeflow.org/v2beta1). Equal pipelines give equal names."""
    raise NotImplementedError


def dump(pipeline: PipelineSpec, platform: PlatformSpec, *, namespace: str = "") -> str:
    """The same as YAML text of two documents."""
    raise NotImplementedError
