"""A pipeline as resources of Kubernetes, for servers that keep their pipelines there: `kubectl apply` uploads it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from orchestrator import ir
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp import requests

API = "pipelines.kubeflow.org/v2beta1"
_LONGEST = 63


def resources(
    pipeline: PipelineSpec,
    platform: PlatformSpec,
    *,
    namespace: str = "",
) -> tuple[dict[str, Any], ...]:
    """The `Pipeline` and its `PipelineVersion` (pipelines.kubeflow.org/v2beta1). Equal pipelines give equal names."""
    info = pipeline.pipeline_info
    name, version = _name(info.name), _name(requests.version_name(pipeline, platform), keep=13)
    marks = {"app.kubernetes.io/managed-by": "orchestrator"}
    place = {"namespace": namespace} if namespace else {}
    about = {"description": info.description} if info.description else {}
    asked = ir.to_data(platform)
    return (
        {
            "apiVersion": API,
            "kind": "Pipeline",
            "metadata": {"name": name, **place, "labels": marks},
            "spec": {"displayName": info.display_name or info.name, **about},
        },
        {
            "apiVersion": API,
            "kind": "PipelineVersion",
            "metadata": {"name": version, **place, "labels": marks},
            "spec": {
                "displayName": version,
                "pipelineName": name,
                **about,
                "pipelineSpec": ir.to_data(pipeline),
                **({"platformSpec": asked} if asked else {}),
            },
        },
    )


def dump(pipeline: PipelineSpec, platform: PlatformSpec, *, namespace: str = "") -> str:
    """The same as YAML text of two documents."""
    documents = resources(pipeline, platform, namespace=namespace)
    text: str = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
    return text


def _name(text: str, *, keep: int = 0) -> str:
    """A name as Kubernetes wants it; of one that is too long, the last `keep` characters stay."""
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")
    if len(name) > _LONGEST:
        name = name[: _LONGEST - keep].rstrip("-.") + (name[-keep:] if keep else "")
    return name or "pipeline"
