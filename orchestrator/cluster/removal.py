"""Objects deleted, with what hangs below them, and waited for; and the rest of a set that is no longer wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.cluster import order, refusal
from orchestrator.cluster.applying import MANAGER, SET
from orchestrator.cluster.objects import Manifest, Ref, ref
from orchestrator.cluster.refusal import RefusedError
from orchestrator.cluster.resources import Resource
from orchestrator.errors import BackendError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

KEPT = ("PersistentVolumeClaim", "Namespace", "CustomResourceDefinition")
"""What is never deleted because it is missing in a file: it holds data, or what others made."""
_ALONE = (
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "NetworkPolicy",
)
"""What makes nothing itself: it is gone at once when nobody looks for what it made."""
_IGNORED = ("Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics", "ControllerRevision")


def delete(cluster: Cluster, objects: Sequence[Manifest], *, seconds: float) -> tuple[Ref, ...]:
    """Delete, what was made last first; custom resources are gone before what looks after them."""
    deadline = time.monotonic() + seconds
    removed: list[Ref] = []
    for group in _groups(objects):
        going = [live for each in group if (live := _delete(cluster, each)) is not None]
        removed.extend(ref(each) for each in going)
        if seconds > 0:
            _gone(cluster, going, deadline, seconds)
    return tuple(removed)


def pruned(cluster: Cluster, owner: str, keep: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """What is in the set, was applied by us, and is not among `keep`."""
    kept = {_key(ref(each, cluster.namespace)) for each in keep}
    spaces = sorted({cluster.namespace, *(ref(each, cluster.namespace).namespace for each in keep)})
    found: dict[str, Manifest] = {}
    for resource in cluster.catalogue.all():
        if not _is_prunable(resource):
            continue
        for namespace in spaces:
            for each in _members(cluster, resource, namespace, owner):
                if _key(ref(each)) not in kept and _is_ours(each):
                    found[each["metadata"]["uid"]] = each  # One object may be served by two groups.
    return tuple(found.values())


def _members(cluster: Cluster, resource: Resource, namespace: str, owner: str) -> tuple[Manifest, ...]:
    try:
        return cluster.listed(resource, namespace, labels=f"{SET}={owner}")
    except RefusedError as error:
        # What we may not list we cannot have kept up to date either.
        if error.code in (403, 404, 405):
            return ()
        raise


def _is_prunable(resource: Resource) -> bool:
    is_listed = {"list", "delete"} <= resource.verbs
    return resource.is_namespaced and is_listed and resource.kind not in (*KEPT, *_IGNORED)


def _is_ours(manifest: Manifest) -> bool:
    metadata: dict[str, Any] = manifest["metadata"]
    applied = any(
        each.get("manager") == MANAGER and each.get("operation") == "Apply"
        for each in metadata.get("managedFields") or ()
    )
    return applied and not metadata.get("ownerReferences")


def _key(about: Ref) -> tuple[str, str, str, str]:
    return about.group, about.kind, about.namespace, about.name


def _groups(objects: Sequence[Manifest]) -> Iterator[list[Manifest]]:
    ordered = order.sorted_to_delete(objects)
    yield [each for each in ordered if order.is_custom(each)]
    yield [each for each in ordered if not order.is_custom(each) and each.get("kind") not in KEPT]
    yield [each for each in ordered if each.get("kind") in KEPT]


def _delete(cluster: Cluster, manifest: Manifest) -> Manifest | None:
    """Ask for one to be deleted; the object as it was, None where there was none."""
    if not cluster.catalogue.knows(manifest):
        return None
    live = cluster.live(manifest)
    if live is None:
        return None
    about = ref(live)
    options = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background" if about.kind in _ALONE else "Foreground",
        "preconditions": {"uid": live["metadata"]["uid"]},
    }
    answer = cluster.api.request(
        "DELETE", cluster.catalogue.of(manifest).path(about.namespace, about.name), body=options
    )
    if not answer.is_good and answer.code not in (404, 409):
        raise refusal.refused(answer, verb="delete", who=cluster.api.who, about=about)
    return live


def _gone(cluster: Cluster, going: Sequence[Manifest], deadline: float, seconds: float) -> None:
    pause = 0.05
    left = [each for each in going if _is_there(cluster, each)]
    while left and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)
        left = [each for each in left if _is_there(cluster, each)]
    if not left:
        return
    texts = [
        f"{len(left)} objects are not gone after {seconds:g} s" if len(left) > 1 else f"not gone after {seconds:g} s"
    ]
    texts.extend(f"{ref(each)}{held(cluster.live(each) or each)}" for each in left)
    text = ": ".join(texts) if len(left) == 1 else "\n".join(texts)
    raise BackendError(
        "Kubernetes",
        text,
        hint="give it longer by --timeout, or look whether its controller runs; the same command goes on",
    )


def _is_there(cluster: Cluster, manifest: Manifest) -> bool:
    if not cluster.catalogue.knows(manifest):
        return False
    live = cluster.live(manifest)
    return live is not None and live["metadata"]["uid"] == manifest["metadata"]["uid"]


def held(manifest: Manifest) -> str:
    """What holds an object that is being deleted, in words."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    said = [
        str(each.get("message"))
        for each in conditions
        if each.get("status") == "True" and str(each.get("type", "")).endswith(("Remaining", "Failure"))
    ]
    finalizers = manifest["metadata"].get("finalizers") or ()
    if said:
        return f" ({'; '.join(said)})"
    if tuple(finalizers) == ("foregroundDeletion",):
        return " (what it made is still there)"
    return f" (held by {', '.join(finalizers)})" if finalizers else ""
