"""What is recorded of how a run was made on Kubeflow Pipelines, so that a reviewer knows a year later."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import kfp
from orchestrator.runners.kfp import requests
from orchestrator.runs import pinning
from orchestrator.runs.prepared import Prepared
from orchestrator.settings import Settings
from orchestrator.stores.records import KFP


def options(
    connection: kfp.Connection,
    ready: Prepared,
    platform: PlatformSpec,
    settings: Settings,
    *,
    cache: bool,
    experiment: str,
) -> dict[str, Any]:
    """What a reviewer needs to know of how a run was made."""
    return {
        "on": KFP,
        "cache": cache,
        KFP: {
            "url": connection.host,
            "namespace": connection.namespace,
            "experiment": experiment,
            "service_account": settings.kfp_service_account,
            "version": _version(ready.pipeline, platform, cache=cache),
            "run": "",
            "page": "",
        },
        "images": pinning.images(ready.pipeline),
        "files": [asdict(each) for each in ready.files],
    }


def _version(pipeline: PipelineSpec, platform: PlatformSpec, *, cache: bool) -> str:
    """What the version is called that is uploaded: it holds the digest of all that is run."""
    return requests.version_name(pipeline if cache else requests.uncached(pipeline), platform)
