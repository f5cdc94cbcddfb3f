"""A pipeline on the server: uploaded under its name, each version under the digest of its content."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from orchestrator import ir
from orchestrator.errors import BackendError
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp import making, requests
from orchestrator.runners.kfp.client import Client
from orchestrator.runners.kfp.connection import SYSTEM, Connection


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a pipeline that the server has."""

    pipeline: str
    """KFP's id of the pipeline."""
    version: str
    """KFP's id of the version."""
    name: str
    """Of the pipeline."""
    version_name: str
    """From the digest of its content: the same content has the same name."""
    new: bool
    """Whether it was not there before."""


def upload(connection: Connection, pipeline: PipelineSpec, platform: PlatformSpec) -> Version:
    """Make sure the server has this pipeline in this version. An unchanged one makes no new version.

    Raises BackendError.
    """
    return ensure(Client(connection), pipeline, platform)


def ensure(
    client: Client, pipeline: PipelineSpec, platform: PlatformSpec, *, sleep: Callable[[float], None] = time.sleep
) -> Version:
    """The same on a client that is there."""
    text = ir.dump(pipeline, platform)
    if len(text.encode("utf-8")) > ir.MAX_BYTES:
        raise BackendError(SYSTEM, f"the specification is larger than the {ir.MAX_BYTES // 2**20} MiB a server takes")
    name, version_name = pipeline.pipeline_info.name, requests.version_name(pipeline, platform)
    namespace = client.connection.namespace
    look = partial(making.named, client, requests.pipelines(name, namespace), "pipelines", name)
    create = requests.create_pipeline(name, pipeline.pipeline_info.description, namespace)
    identity = str(making.made(client, look, create, sleep=sleep).thing["pipeline_id"])
    look = partial(making.named, client, requests.versions(identity, version_name), "pipeline_versions", version_name)
    upload = requests.upload_version(identity, version_name, text)
    version = making.made(client, look, upload, sleep=sleep)
    return Version(identity, str(version.thing["pipeline_version_id"]), name, version_name, version.new)
