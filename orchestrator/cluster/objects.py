"""Values of the cluster: objects as plain mappings, what names one, and what was done or would be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Manifest = Mapping[str, Any]
"""An object of Kubernetes as its YAML says it: apiVersion, kind, metadata and the rest."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """What names one object; `namespace` is "" for what belongs to the whole cluster."""

    kind: str
    name: str
    namespace: str = ""
    group: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


class Action(StrEnum):
    """What applying does to an object."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs: its path as a person writes it, and both values; None where there is none."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What applying would do to one object, field by field; values of secrets are not in it."""

    ref: Ref
    action: Action
    fields: tuple[Field, ...] = ()
    note: str = ""
    """What could not be asked of the server: a namespace or a definition is made first."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one object, and the object as the cluster holds it now."""

    ref: Ref
    action: Action
    object: Manifest


@dataclass(frozen=True, slots=True)
class Event:
    """What the cluster said of an object: Kubernetes' own Event, those that repeat counted."""

    about: Ref
    reason: str
    message: str
    is_warning: bool = False
    count: int = 1
    at: str = ""
    """When it was last seen, in UTC, as Kubernetes writes it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an object is: done, not yet with what it waits for, or failed for good with the reason."""

    done: bool
    text: str = ""
    failed: bool = False


def ref(manifest: Manifest, namespace: str = "") -> Ref:
    """What names an object; `namespace` where it says none itself."""
    metadata = manifest.get("metadata") or {}
    group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
    return Ref(
        kind=str(manifest.get("kind", "")),
        name=str(metadata.get("name", "")),
        namespace=str(metadata.get("namespace") or namespace),
        group=group if version else "",
    )
