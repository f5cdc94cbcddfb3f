"""An endpoint file with every variant resolved to an approved, intact model version: what a server can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator import registry, source
from orchestrator.deployment import forms
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder, manifest, package, rows
from orchestrator.registry import Approval, ModelVersion
from orchestrator.serving import declarations, endpoint
from orchestrator.serving import example as examples
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.kserve import check as for_kserve
from orchestrator.serving.kserve import manifests as rendering
from orchestrator.serving.kserve import objects
from orchestrator.settings import Settings

Find = Callable[[str], ModelVersion]
CHAMPION = "champion"


def manifests(
    file: Path,
    settings: Settings,
    place: objects.Place,
    *,
    by: rendering.Split = "server",
    monitor: rendering.Monitor | None = None,
) -> tuple[objects.Manifest, ...]:
    """An endpoint file as objects of a cluster. A variant that names a registered model takes its champion.

    Raises PipelineError for what is wrong in the file, OrchestratorError for a version that may not be deployed.
    """
    return rendering.render(for_cluster(file, settings, place, by=by), place, by=by, monitor=monitor)


def for_cluster(file: Path, settings: Settings, place: objects.Place, *, by: rendering.Split) -> Declaration:
    """An endpoint file with its versions, checked against what the cluster and its server can do with them."""
    document = source.read(file)
    spec = endpoint.parse(document)
    for_kserve.check(document, spec, place, by=by)
    found = declaration(spec, _versions(spec, settings))
    for_kserve.check_models(found, place)
    return found


def of_file(file: Path, settings: Settings) -> Declaration:
    """An endpoint file with its versions, for a server of this machine; one that names a model takes its champion."""
    spec = endpoint.read(file)
    return declaration(spec, _versions(spec, settings))


def _versions(spec: Endpoint, settings: Settings) -> dict[str, ModelVersion]:
    find = registry.open(settings.tracking_uri, state=settings.state).version
    return {variant.name: find(reference(variant.model)) for variant in spec.variants}


def declaration(
    spec: Endpoint,
    versions: Mapping[str, ModelVersion],
    *,
    example: ModelVersion | None = None,
    run: str = "",
    at: datetime | None = None,
) -> Declaration:
    """The declaration of an endpoint whose variants, by name, are these versions; each is checked, nothing touched.

    The example is that of one version, by default of the first one.
    """
    for found in {found.uri: found for found in versions.values()}.values():
        check(found)
    places = {variant.name: forms.find(versions[variant.name], variant.format) for variant in spec.variants}
    variants = tuple(
        declarations.Variant(
            name=variant.name,
            model=versions[variant.name].name,
            version=versions[variant.name].version,
            path=str(places[variant.name][0].absolute()),
            digest=places[variant.name][1],
            weight=variant.weight,
            format=variant.format,
            shadow=variant.shadow,
        )
        for variant in spec.variants
    )
    shown = _example((example or next(iter(versions.values()))).path)
    return Declaration(
        name=spec.metadata.name,
        variants=variants,
        spec=spec,
        example=shown,
        run=run,
        declared_at=at.isoformat() if at else "",
    )


def _example(folder: Path) -> dict[str, list[Any]]:
    """What a client may send: rows, or the request that a program of its own came with."""
    about = manifest.read(folder)
    if about.package is None:
        return {"inputs": [dict(record) for record in about.example]}
    content = (folder / package.EXAMPLE).read_bytes()
    table = rows.read(content, about.package.content_type)
    if table is not None and table.form.key == "instances" and table.form.records:
        return {"inputs": [dict(record) for record in about.example]}
    return examples.told(content, about.package.content_type)


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


def reference(model: str) -> str:
    """The version a variant names; a registered model alone stands for its champion."""
    named = model.removeprefix("models:/")
    return model if "@" in named or "/" in named else f"{named}@{CHAMPION}"
