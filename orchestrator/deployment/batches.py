"""The model of a batch: a registered version, the variant of an endpoint file, or a folder of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator import registry, source
from orchestrator.deployment import resolved
from orchestrator.errors import NotFoundError, OrchestratorError, did_you_mean
from orchestrator.model import folder, manifest
from orchestrator.registry import ModelVersion
from orchestrator.serving import endpoint
from orchestrator.serving.batch.pool import Named
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.traffic import Variant

Find = Callable[[str], ModelVersion]


@dataclass(frozen=True, slots=True)
class Asked:
    """The model, and the limits of the endpoint file that names it, where it does."""

    model: Named
    payload: int | None = None
    seconds: float | None = None


def find(named: str, variant: str, *, tracking_uri: str, state: Path) -> Asked:
    """What a name, an endpoint file or a folder stands for. Raises OrchestratorError for what may not be used."""
    path = Path(named)
    if path.is_file():
        return _endpoint(path, variant, registry.open(tracking_uri, state=state).version)
    if variant:
        raise OrchestratorError(f"{named} is no endpoint file, and has no variants", hint="leave out --variant")
    if path.is_dir():
        manifest.read(path)
        return Asked(Named(path.absolute(), folder.digest(path), str(path)))
    if path.suffix in (".yaml", ".yml"):
        raise NotFoundError("file", named)
    return Asked(version(registry.open(tracking_uri, state=state).version, named))


def version(find: Find, named: str) -> Named:
    """An approved, intact version; a name alone stands for its champion. Raises OrchestratorError."""
    found = find(resolved.reference(named))
    resolved.check(found)
    return Named(found.path.absolute(), found.digest, f"{found.name} version {found.version}")


def _endpoint(file: Path, variant: str, find: Find) -> Asked:
    spec = endpoint.parse(source.read(file))
    chosen = _chosen(spec, variant)
    limits = spec.limits if "limits" in spec.model_fields_set else None
    return Asked(
        _declared(spec, chosen, find),
        limits.body_bytes if limits and "body" in limits.model_fields_set else None,
        limits.timeout_seconds if limits and "timeout" in limits.model_fields_set else None,
    )


def _chosen(spec: Endpoint, variant: str) -> Variant:
    """The variant that is asked for, or the one with the largest share."""
    names = [each.name for each in spec.variants]
    if not variant:
        return max(spec.variants, key=lambda each: each.weight)
    if variant not in names:
        raise OrchestratorError(f"there is no variant {variant!r}", hint=did_you_mean(variant, names))
    return spec.variants[names.index(variant)]


def _declared(spec: Endpoint, variant: Variant, find: Find) -> Named:
    alone = variant.model_copy(update={"weight": 1.0, "shadow": None})
    found = find(resolved.reference(variant.model))
    (declared,) = resolved.declaration(spec.model_copy(update={"variants": (alone,)}), {variant.name: found}).variants
    return Named(Path(declared.path), declared.digest, f"{declared.model} version {declared.version}")
