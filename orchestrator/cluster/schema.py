"""Which fields a kind has, from the server's own schema: asked only when one was written that it does not have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.cluster.api import Api
from orchestrator.cluster.resources import Resource
from orchestrator.errors import BackendError


def fields(api: Api, resource: Resource, path: str) -> tuple[str, ...]:
    """The names that may stand where the last name of `path` stands; none where the server does not say."""
    where = (
        f"/openapi/v3/apis/{resource.group}/{resource.version}"
        if resource.group
        else f"/openapi/v3/api/{resource.version}"
    )
    try:
        answer = api.request("GET", where)
    except BackendError:
        return ()
    return beside(answer.data, resource, path) if answer.is_good else ()


def beside(document: Mapping[str, Any], resource: Resource, path: str) -> tuple[str, ...]:
    """The names beside the last name of a path, in an OpenAPI document."""
    schemas: Mapping[str, Any] = (document.get("components") or {}).get("schemas") or {}
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    found = next(
        (each for each in schemas.values() if wanted in (each.get("x-kubernetes-group-version-kind") or ())), None
    )
    for name in names(path)[:-1]:
        if found is None:
            return ()
        found = _inside(_resolved(found, schemas), name, schemas)
    return tuple((_resolved(found, schemas).get("properties") or {}) if found else ())


def names(path: str) -> list[str]:
    """The names of `spec.containers[name="a.b"].image`, an element of a list as `[]`."""
    found = re.findall(r"\[[^\]]*\]|[^.\[\]]+", path)
    return ["[]" if name.startswith("[") else name for name in found]


def _inside(schema: Mapping[str, Any], name: str, schemas: Mapping[str, Any]) -> Mapping[str, Any] | None:
    inner: Mapping[str, Any] | None
    if name == "[]":
        inner = schema.get("items")
    else:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        more = schema.get("additionalProperties")
        inner = properties.get(name) or (more if isinstance(more, Mapping) else None)
    return None if inner is None else _resolved(inner, schemas)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    whole = schema.get("allOf")
    if isinstance(whole, list) and len(whole) == 1:
        schema = whole[0]
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = schemas.get(named, {}) if named else schema
    return found
