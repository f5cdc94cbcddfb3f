"""Which fields a kind has, from the server's own schema: asked only when one was written that it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.cluster.api import Api
from orchestrator.cluster.resources import Resource
from orchestrator.errors import BackendError

_FREE = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of one kind; of none where the server does not say."""

    root: Mapping[str, Any]
    others: Mapping[str, Mapping[str, Any]]
    """What the schema refers to, by name."""

    def beside(self, path: str) -> tuple[str, ...]:
        """The names that may stand where the last name of a path stands."""
        found: Mapping[str, Any] | None = self.root
        for name in names(path)[:-1]:
            found = self._inside(found, name) if found else None
        return tuple(found.get("properties") or {}) if found else ()

    def unknown(self, value: Any) -> Iterator[str]:
        """The path of every field of an object that the kind does not have."""
        if self.root:
            yield from self._unknown(value, self.root, "")

    def _unknown(self, value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if isinstance(value, list):
            inner = self._inside(schema, "[]")
            for index, each in enumerate(value if inner else ()):
                yield from self._unknown(each, inner or {}, f"{path}[{index}]")
            return
        # A schema that names no field leaves all to whoever writes the object.
        if not isinstance(value, Mapping) or not schema.get("properties") or any(schema.get(key) for key in _FREE):
            return
        for key, each in value.items():
            here = f"{path}.{key}" if path else str(key)
            inner = self._inside(schema, str(key))
            if inner is None:
                yield here
            else:
                yield from self._unknown(each, inner, here)

    def _inside(self, schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
        inner = schema.get("items") if name == "[]" else (schema.get("properties") or {}).get(name)
        if inner is None and isinstance(schema.get("additionalProperties"), Mapping):
            inner = schema["additionalProperties"]
        return None if inner is None else resolved(inner, self.others)


NONE = Schema({}, {})


def load(api: Api, resource: Resource) -> Schema:
    """The schema of a kind, as the server has it now."""
    inside = f"apis/{resource.group}" if resource.group else "api"
    try:
        answer = api.request("GET", f"/openapi/v3/{inside}/{resource.version}")
    except BackendError:
        return NONE
    return of(answer.data, resource) if answer.is_good else NONE


def of(document: Mapping[str, Any], resource: Resource) -> Schema:
    """The schema of a kind in an OpenAPI document."""
    schemas: Mapping[str, Any] = (document.get("components") or {}).get("schemas") or {}
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    for each in schemas.values():
        if wanted in (each.get("x-kubernetes-group-version-kind") or ()):
            return Schema(resolved(each, schemas), schemas)
    return NONE


def names(path: str) -> list[str]:
    """The names of `spec.containers[name="a.b"].image`, an element of a list as `[]`."""
    found = re.findall(r"\[(?:\"[^\"]*\"|[^\]])*\]|[^.\[\]]+", path)
    return ["[]" if name.startswith("[") else name for name in found]


def resolved(schema: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The schema itself, or the one it stands for."""
    whole = schema.get("allOf")
    if isinstance(whole, list) and len(whole) == 1:
        schema = whole[0]
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    return others.get(named, {}) if named else schema
