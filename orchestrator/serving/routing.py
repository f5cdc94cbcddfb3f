"""Which endpoint and which of its variants a request is for."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.serving.codec import RequestError
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Hosted, Status, Variant

# In a request it asks for a variant; in an answer it names the one that gave it.
VARIANT_HEADER = "x-variant"


def ready(host: Host, name: str) -> Hosted:
    """The endpoint of that name. Raises RequestError: 404 when unknown, 503 when it could not be loaded."""
    return served(host, name)[0]


def served(host: Host, name: str) -> tuple[Hosted, Status]:
    """The endpoint of that name, and how it fares. Raises RequestError as `ready` does."""
    status = host.endpoints.get(name)
    if status is None:
        raise unknown(host, name)
    if status.hosted is None:
        raise RequestError(f"model {name!r} is not ready: {status.reason}", status=503)
    if status.unloaded:
        hint = f"POST /v2/repository/models/{name}/load loads it"
        raise RequestError(f"model {name!r} was unloaded, as it was asked to be; {hint}", status=503, kind="unloaded")
    return status.hosted, status


def unknown(host: Host, name: str) -> RequestError:
    """What is wrong when nobody knows that name."""
    if not host.is_complete:
        return RequestError("the server is loading its models: try again", status=503)
    known = ", ".join(sorted(host.endpoints))
    return RequestError(f"there is no model {name!r}" + (f" (served: {known})" if known else ""), status=404)


def of_version(endpoint: Hosted, version: str) -> Variant:
    """The variant that serves a version. Raises RequestError."""
    variant = endpoint.of_version(version)
    if variant is None:
        served = ", ".join(variant.declared.version for variant in endpoint.variants)
        message = f"model {endpoint.declaration.name!r} has no version {version!r} here (served: {served})"
        raise RequestError(message, status=404)
    return variant


def chosen(endpoint: Hosted, version: str, headers: Mapping[str, str]) -> Variant:
    """The variant the client wants, by version in the path or by name in a header; otherwise the one that keeps
    its key, or one by weight."""
    if version:
        return of_version(endpoint, version)
    name = headers.get(VARIANT_HEADER)
    if name is None:
        value = headers.get(endpoint.key) if endpoint.key else None
        return endpoint.pick() if value is None else endpoint.kept(value)
    for variant in endpoint.variants:
        if variant.declared.name == name:
            return variant
    known = ", ".join(variant.declared.name for variant in endpoint.variants)
    raise RequestError(f"model {endpoint.declaration.name!r} has no variant {name!r} (known: {known})")


def again(endpoint: Hosted, before: Variant, version: str, headers: Mapping[str, str]) -> Variant:
    """The variant that was chosen while its model was not loaded; another one if it is declared no longer."""
    for variant in endpoint.variants:
        if variant.declared == before.declared:
            return variant
    return chosen(endpoint, version, headers)
