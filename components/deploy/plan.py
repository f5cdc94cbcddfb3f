"""What a deployment would declare: the endpoint file with every variant resolved to an approved, intact version."""

from __future__ import annotations

from datetime import datetime

from orchestrator.deployment import resolved
from orchestrator.deployment.resolved import Find
from orchestrator.errors import OrchestratorError
from orchestrator.registry import ModelVersion
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.traffic import Variant


def plan(version: str, spec: Endpoint, find: Find, *, run: str, at: datetime) -> Declaration:
    """The declaration that puts `version` where `spec` wants it. Raises OrchestratorError, and touches nothing."""
    if not version.strip():
        raise OrchestratorError(
            "there is no version to deploy: the model was not published",
            hint="run this task only after a publication: when: ${tasks.publish.outputs.published}",
        )
    deployed = find(version)
    versions = {variant.name: _version(variant, deployed, find) for variant in spec.variants}
    if deployed.uri not in {found.uri for found in versions.values()}:
        raise OrchestratorError(
            f"no variant of endpoint {spec.metadata.name!r} takes {deployed.uri}",
            hint=f"write 'model: {deployed.name}' for the variant that gets each new version",
        )
    return resolved.declaration(spec, versions, example=deployed, run=run, at=at)


def _version(variant: Variant, deployed: ModelVersion, find: Find) -> ModelVersion:
    """The deployed version for a variant that names its registered model; a fixed one for `name@alias` or `name/3`."""
    named = variant.model.removeprefix("models:/")
    if named == deployed.name:
        return deployed
    if "@" in named or "/" in named:
        return find(variant.model)
    raise OrchestratorError(
        f"variant {variant.name!r} wants a version of {named!r}, and {deployed.uri} is deployed",
        hint=f"write 'model: {named}@champion' to keep it at a version of its own",
    )
