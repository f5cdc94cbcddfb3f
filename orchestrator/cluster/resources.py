"""Which kinds the server knows, and under which path each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from orchestrator.cluster.api import Api
from orchestrator.cluster.objects import Manifest
from orchestrator.cluster.refusal import RefusedError, unknown_kind
from orchestrator.errors import BackendError

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = f"{_ACCEPT.format('v2')},{_ACCEPT.format('v2beta1')},application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, as the server serves it."""

    group: str
    version: str
    kind: str
    plural: str
    is_namespaced: bool
    verbs: frozenset[str]

    @property
    def qualified(self) -> str:
        """`deployments.apps`, as `kubectl` takes it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """The path of one object, or of all in a namespace, or of all there are."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if self.is_namespaced and namespace else ""
        ends = (f"/{quote(name, safe='')}" if name else "") + (f"/{sub}" if sub else "")
        return f"{root}{inside}/{self.plural}{ends}"


@dataclass(slots=True)
class Catalogue:
    """The kinds of one server, asked for once, and again when one is missing: a definition may just have been made."""

    api: Api
    known: tuple[Resource, ...] = field(default=())

    def of(self, manifest: Manifest) -> Resource:
        """The resource of an object, by its apiVersion and kind. Raises RefusedError where the server has none."""
        group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
        return self.find(str(manifest.get("kind", "")), group, version)

    def find(self, kind: str, group: str | None = None, version: str = "") -> Resource:
        """The resource of a kind; with no group in any, core first; with no version in the server's preferred one."""
        found = next(self._matching(kind, group, version), None)
        if found is None:
            self.refresh()
            found = next(self._matching(kind, group, version), None)
        if found is None:
            raise self.missing(kind, group or "", version)
        return found

    def knows(self, manifest: Manifest) -> bool:
        """Whether the server serves this kind now."""
        try:
            self.of(manifest)
        except RefusedError:
            return False
        return True

    def all(self) -> tuple[Resource, ...]:
        """Every kind in its preferred version."""
        if not self.known:
            self.refresh()
        first: dict[tuple[str, str], Resource] = {}
        for each in self.known:
            first.setdefault((each.group, each.plural), each)
        return tuple(first.values())

    def refresh(self) -> None:
        """Ask the server again."""
        self.known = (*self._asked("/api"), *self._asked("/apis"))

    def missing(self, kind: str, group: str, version: str) -> RefusedError:
        """The error for a kind that is not there."""
        others = [each for each in self.known if each.kind == kind]
        return unknown_kind(
            kind, group, version, others=[_api_version(each) for each in others], kinds=self._kinds(group)
        )

    def _kinds(self, group: str) -> list[str]:
        return sorted({each.kind for each in self.known if each.group == group})

    def _matching(self, kind: str, group: str | None, version: str) -> Iterator[Resource]:
        for each in self.known:
            if each.kind == kind and group in (None, each.group) and version in ("", each.version):
                yield each

    def _asked(self, path: str) -> Iterator[Resource]:
        answer = self.api.request("GET", path, accept=ACCEPT)
        if not answer.is_good:
            from orchestrator.cluster.refusal import refused

            raise refused(answer, verb="list the kinds of", who=self.api.who)
        if answer.data.get("kind") != "APIGroupDiscoveryList":
            message = (
                f"{self.api.host} is not the API server of Kubernetes 1.27 or newer: it cannot list its kinds at once"
            )
            raise BackendError("Kubernetes", message)
        return discovered(answer.data)


def discovered(listed: Mapping[str, Any]) -> Iterator[Resource]:
    """The resources of a discovery document, in the server's order of preference."""
    for group in listed.get("items") or ():
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            for each in version.get("resources") or ():
                kind = (each.get("responseKind") or {}).get("kind")
                if kind:
                    yield Resource(
                        group=name,
                        version=version["version"],
                        kind=kind,
                        plural=each["resource"],
                        is_namespaced=each.get("scope") == "Namespaced",
                        verbs=frozenset(each.get("verbs") or ()),
                    )


def _api_version(resource: Resource) -> str:
    return f"{resource.group}/{resource.version}" if resource.group else resource.version
