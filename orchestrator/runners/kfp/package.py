"""A pipeline on the server: uploaded under its name, each version under the digest of its content."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp.connection import Connection


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
    raise NotImplementedError
