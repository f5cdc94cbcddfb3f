"""A cluster and what can be done there. Objects are plain mappings; one without a namespace is in the cluster's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cluster import applying, change, evidence, logs, refusal, removal, waiting
from orchestrator.cluster.api import Answer, Api
from orchestrator.cluster.objects import Applied, Change, Event, Manifest, Progress, Ref, ref
from orchestrator.cluster.readiness import ready
from orchestrator.cluster.resources import Catalogue, Resource


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, as one account. All methods raise BackendError (RefusedError where the server answered)."""

    namespace: str
    """Where objects are that name no namespace."""
    api: Api = field(repr=False)
    catalogue: Catalogue = field(repr=False)

    def apply(
        self,
        objects: Sequence[Manifest],
        *,
        owner: str = "",
        dry_run: bool = False,
        force: bool = False,
        manager: str = applying.MANAGER,
    ) -> tuple[Applied, ...]:
        """Server-side apply with strict fields, in the order objects need each other; returned in that order.

        `owner` labels each object as one of a set (`orchestrator/set`), for `prune`. `force` takes fields from other
        managers; without it they are a RefusedError that names them. What was cut off is mended by applying again.
        `manager` is as whom the fields are held.
        """
        return applying.apply(self, objects, owner=owner, dry_run=dry_run, force=force, manager=manager)

    def plan(
        self, objects: Sequence[Manifest], *, owner: str = "", prune: bool = False, force: bool = False
    ) -> tuple[Change, ...]:
        """What `apply` (and `prune`) would do: a dry run against what is there. Changes nothing."""
        looked = applying.look(self, objects, owner=owner, force=force)
        gone = removal.pruned(self, owner, objects) if prune and owner else ()
        return (*(applying.planned(each) for each in looked), *(change.deletion(each) for each in gone))

    def get(self, kind: str, name: str, namespace: str = "", *, group: str = "") -> Manifest | None:
        """One object, or None where there is none."""
        return self._one(self.catalogue.find(kind, group or None), namespace or self.namespace, name)

    def list(
        self, kind: str, namespace: str = "", *, group: str = "", labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        """Objects of a kind in a namespace; `labels` and `fields` are selectors such as `app=web,tier!=cache`."""
        return self.listed(
            self.catalogue.find(kind, group or None), namespace or self.namespace, labels=labels, fields=fields
        )

    def delete(self, objects: Sequence[Manifest], *, seconds: float = 60.0) -> tuple[Ref, ...]:
        """Delete objects, what was made last first, with what hangs below them, and wait until they are gone.

        Returns what was there. Raises BackendError that names what is left, and what holds it, after `seconds`;
        with `seconds=0` it does not wait.
        """
        return removal.delete(self, objects, seconds=seconds)

    def prune(
        self, owner: str, keep: Sequence[Manifest], *, dry_run: bool = False, seconds: float = 60.0
    ) -> tuple[Ref, ...]:
        """Delete what is in the set `owner` in this namespace, was applied by us, and is not among `keep`.

        Never claims of volumes, namespaces or anything of the whole cluster.
        """
        gone = removal.pruned(self, owner, keep)
        return tuple(ref(each) for each in gone) if dry_run else removal.delete(self, gone, seconds=seconds)

    def wait(
        self,
        objects: Sequence[Manifest],
        *,
        seconds: float,
        until: Callable[[Manifest], Progress] = ready,
        said: Callable[[Ref, Progress], None] | None = None,
        stuck: float = waiting.STUCK,
    ) -> tuple[Manifest, ...]:
        """Wait until all objects are as `until` wants them; the objects as they are then.

        `said` is told each time an object's progress changed. Raises BackendError at once for what failed for good,
        after `stuck` seconds for what does not mend itself (an image that does not exist), else after `seconds`;
        with the reason in words from the object, its pods and their events.
        """
        return waiting.wait(self, objects, seconds=seconds, until=until, said=said, stuck=stuck)

    def why(self, manifest: Manifest) -> str:
        """Why an object is not ready, in words, from itself, its pods and events; "" where nothing is known."""
        because = evidence.found(self, manifest)
        return evidence.with_log(self, manifest, because) if because else ""

    def logs(
        self,
        pod: str,
        container: str = "",
        *,
        namespace: str = "",
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        """The lines of a container's log; with `follow` until it ends."""
        return logs.lines(
            self, pod, container, namespace or self.namespace, follow=follow, previous=previous, tail=tail
        )

    def events(self, manifest: Manifest) -> tuple[Event, ...]:
        """What the cluster said of one object (of a Pod, a Deployment ...), the latest last."""
        return evidence.events(self, manifest)

    def live(self, manifest: Manifest) -> Manifest | None:
        """An object as the cluster holds it now, in the version it is written in; None where there is none."""
        about = ref(manifest, self.namespace)
        return self._one(self.catalogue.of(manifest), about.namespace, about.name)

    def listed(self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "") -> tuple[Manifest, ...]:
        """The objects of a resource; each says its kind, which the server leaves out in lists."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self.api.request("GET", resource.path(namespace), query={k: v for k, v in query.items() if v})
        data = self._good(answer, f"list {resource.qualified} of", None)
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        return tuple({"apiVersion": version, "kind": resource.kind, **each} for each in data.get("items") or ())

    def _one(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        answer = self.api.request("GET", resource.path(namespace, name))
        if answer.code == 404:
            return None
        about = Ref(resource.kind, name, namespace if resource.is_namespaced else "", resource.group)
        found: Manifest = self._good(answer, "read", about)
        return found

    def _good(self, answer: Answer, verb: str, about: Ref | None) -> Any:
        if not answer.is_good:
            raise refusal.refused(answer, verb=verb, who=self.api.who, about=about)
        return answer.data
