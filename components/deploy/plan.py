"""What a deployment would declare: the endpoint file with every variant resolved to an approved, intact version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from orchestrator.errors import OrchestratorError
from orchestrator.model import folder, manifest
from orchestrator.registry import Approval, ModelVersion
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint

Find = Callable[[str], ModelVersion]


def plan(version: str, spec: Endpoint, find: Find, *, run: str, at: datetime) -> Declaration:
    """The declaration that puts `version` where `spec` wants it. Raises OrchestratorError, and touches nothing."""
    if not version.strip():
        raise OrchestratorError(
            "there is no version to deploy: the model was not published",
            hint="run this task only after a publication: when: ${tasks.publish.outputs.published}",
        )
    deployed = find(version)
    resolved = [(variant, _version(variant, deployed, find)) for variant in spec.variants]
    if deployed.uri not in {found.uri for _, found in resolved}:
        raise OrchestratorError(
            f"no variant of endpoint {spec.metadata.name!r} takes {deployed.uri}",
            hint=f"write 'model: {deployed.name}' for the variant that gets each new version",
        )
    for found in {found.uri: found for _, found in resolved}.values():
        check(found)
    variants = tuple(
        declarations.Variant(
            name=variant.name,
            model=found.name,
            version=found.version,
            path=str(found.path.absolute()),
            digest=found.digest,
            weight=variant.weight,
        )
        for variant, found in resolved
    )
    example = [dict(record) for record in manifest.read(deployed.path).example]
    return Declaration(
        name=spec.metadata.name,
        variants=variants,
        spec=spec,
        example={"inputs": example},
        run=run,
        declared_at=at.isoformat(),
    )


def check(version: ModelVersion) -> None:
    """Refuse a version that nobody approved, or whose folder is not what was published."""
    if version.approval is not Approval.APPROVED:
        approve = f"`orc models approve {version.name}/{version.version}`, then `orc resume`"
        hint = approve if version.approval is Approval.PENDING else "deploy another version"
        raise OrchestratorError(
            f"{version.uri} is {version.approval}, and only an approved version is deployed", hint=hint
        )
    if not version.digest:
        raise OrchestratorError(f"{version.uri} has no digest", hint="publish it with the publish component")
    found = folder.digest(version.path)
    if found != version.digest:
        raise OrchestratorError(
            f"{version.uri} was changed after it was published: it has digest {found}, not {version.digest}",
            hint="train and publish the model again",
        )


def _version(variant: endpoint.Variant, deployed: ModelVersion, find: Find) -> ModelVersion:
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
