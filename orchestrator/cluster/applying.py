"""Objects applied: looked at all together first, so that a mistake in one leaves all as they were; then one by one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cluster import change, order, refusal, schema
from orchestrator.cluster.api import Answer
from orchestrator.cluster.objects import Applied, Change, Manifest, Ref, ref
from orchestrator.cluster.readiness import ready
from orchestrator.cluster.refusal import RefusedError
from orchestrator.errors import BackendError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

MANAGER = "orchestrator"
SET = "orchestrator/set"
"""The label that names the set an object is applied with."""
UNCHECKED = "not checked in full: "
_ESTABLISHED = 60.0
# Kubernetes writes these itself; who applies what `kubectl get -o yaml` printed does not mean them.
_WRITTEN = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
# What may come true by an object of the same set that is not there yet: left to the moment it is applied.
_LATER = ("Denied", "NotFound", "Quota", "Failed", "InternalError", "Terminating")


@dataclass(frozen=True, slots=True)
class Looked:
    """One object, what is there of it, and what the server would make of it; None where it could not be asked."""

    manifest: Manifest
    live: Manifest | None
    after: Manifest | None
    note: str = ""


def apply(
    cluster: Cluster,
    objects: Sequence[Manifest],
    *,
    owner: str,
    dry_run: bool,
    force: bool,
    manager: str = MANAGER,
) -> tuple[Applied, ...]:
    """Apply all, or, where one is not as it must be, none."""
    looked = look(cluster, objects, owner=owner, force=force, manager=manager)
    if dry_run:
        return tuple(_applied(each.live, each.after or each.manifest) for each in looked)
    made: list[Applied] = []
    for each in looked:
        try:
            answer = _patch(cluster, each.manifest, force=force, manager=manager)
        except BackendError as error:
            raise _midway(error, made, looked) from error
        made.append(_applied(each.live, answer))
        if each.manifest.get("kind") == "CustomResourceDefinition":
            _establish(cluster, answer)
    return tuple(made)


def look(
    cluster: Cluster, objects: Sequence[Manifest], *, owner: str, force: bool, manager: str = MANAGER
) -> list[Looked]:
    """The objects in order, each tried without being kept. Raises RefusedError with all that is wrong."""
    ordered = order.sorted_to_apply(objects)
    new_namespaces: set[str] = set()
    looked: list[Looked] = []
    problems: list[RefusedError] = []
    for each in ordered:
        try:
            found = _look(cluster, each, ordered, new_namespaces, owner=owner, force=force, manager=manager)
        except RefusedError as error:
            problems.extend(_placed(one, each, cluster) for one in error.problems)
            continue
        looked.append(found)
        if found.live is None and each.get("kind") == "Namespace":
            new_namespaces.add(ref(each).name)
    if problems:
        raise refusal.together(problems)
    return looked


def _look(
    cluster: Cluster,
    manifest: Manifest,
    ordered: Sequence[Manifest],
    new: set[str],
    *,
    owner: str,
    force: bool,
    manager: str,
) -> Looked:
    if not ref(manifest).name:
        raise RefusedError(f"{manifest.get('kind')} has no metadata.name", reason="Invalid", field="metadata")
    if not cluster.catalogue.knows(manifest):
        if order.definition_of(ordered, manifest) is None:
            cluster.catalogue.of(manifest)
        return Looked(
            _owned(manifest, cluster.namespace, owner), None, None, f"{UNCHECKED}its definition is made first"
        )
    is_namespaced = cluster.catalogue.of(manifest).is_namespaced
    body = _owned(manifest, cluster.namespace if is_namespaced else None, owner)
    if is_namespaced and ref(body).namespace in new:
        _try_fields(cluster, body)
        return Looked(body, None, None, f"{UNCHECKED}its namespace is made first")
    live = cluster.live(body)
    if live is not None and live["metadata"].get("deletionTimestamp"):
        message = f"{ref(live)}: it is being deleted"
        hint = "apply again when it is gone; what holds it is in its metadata.finalizers"
        raise RefusedError(message, code=409, reason="Deleting", about=ref(live), hint=hint)
    try:
        return Looked(body, live, _patch(cluster, body, force=force, dry_run=True, manager=manager))
    except RefusedError as error:
        if error.reason not in _LATER or len(ordered) == 1:
            raise
        return Looked(body, live, None, f"the server would refuse it now: {error.said}")


def _try_fields(cluster: Cluster, body: Manifest) -> None:
    """Let the server check the fields of an object whose namespace is not there yet, in one that always is."""
    elsewhere = {**body, "metadata": {**body["metadata"], "namespace": "default"}}
    try:
        if cluster.live(elsewhere) is None:
            _patch(cluster, elsewhere, force=True, dry_run=True, about=ref(body))
    except RefusedError as error:
        # Rights, quotas and policies are those of another namespace.
        if all(each.is_of_file for each in error.problems):
            raise


def planned(looked: Looked) -> Change:
    """The change an object stands for."""
    after = looked.after or {**(looked.live or {}), **looked.manifest}
    if looked.after is None and looked.live is not None:
        return Change(ref(looked.manifest), change.between(None, after).action, note=looked.note)
    return change.between(looked.live, after, note=looked.note)


def _owned(manifest: Manifest, namespace: str | None, owner: str) -> Manifest:
    """The object as it is sent: in its namespace, of its set, without what the server writes."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _WRITTEN}
    if namespace is None:
        metadata.pop("namespace", None)
    elif not metadata.get("namespace"):
        metadata["namespace"] = namespace
    if owner:
        metadata["labels"] = {**(metadata.get("labels") or {}), SET: owner}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def _patch(
    cluster: Cluster,
    manifest: Manifest,
    *,
    force: bool,
    dry_run: bool = False,
    manager: str = MANAGER,
    about: Ref | None = None,
) -> Manifest:
    resource = cluster.catalogue.of(manifest)
    named = ref(manifest)
    query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
    answer = cluster.api.request(
        "PATCH",
        resource.path(named.namespace, named.name),
        query={**query, "dryRun": "All"} if dry_run else query,
        body=manifest,
        content="application/apply-patch+yaml",
        repeats=_passes,
    )
    if answer.is_good:
        result: Manifest = answer.data
        return result
    about = about or named
    error = refusal.refused(answer, verb="apply", who=cluster.api.who, about=about)
    if not any(each.reason == "UnknownField" for each in error.problems):
        raise error
    # The server stops at some unknown field, each time at another; these are all, in the order they were written.
    known = schema.load(cluster.api, resource)
    error = refusal.refused(answer, verb="apply", who=cluster.api.who, about=about, fields=known.beside)
    found = [refusal.unknown_field(each, about, fields=known.beside) for each in known.unknown(manifest)]
    others = [each for each in error.problems if each.reason != "UnknownField"]
    raise refusal.together([*found, *others]) if found else error


def _passes(answer: Answer) -> bool:
    """Refusals that pass within moments: a new namespace is not complete yet, another wrote at the same instant."""
    text = str(answer.data.get("message", ""))
    if answer.code == 403:
        return 'serviceaccount "default" not found' in text
    if answer.code == 409:
        return not (answer.data.get("details") or {}).get("causes") and "being deleted" not in text
    return answer.code == 404 and "could not find the requested resource" in text


def _establish(cluster: Cluster, definition: Manifest) -> None:
    """Wait until the kinds of a definition are served."""
    cluster.wait([definition], seconds=_ESTABLISHED, until=ready)
    spec: Mapping[str, Any] = definition["spec"]
    served = [each["name"] for each in spec["versions"] if each.get("served")]
    until = time.monotonic() + _ESTABLISHED
    for version in served:
        sample = {"apiVersion": f"{spec['group']}/{version}", "kind": spec["names"]["kind"]}
        # What the server lists follows what it serves by a moment.
        while not cluster.catalogue.knows(sample) and time.monotonic() < until:
            time.sleep(0.1)


def _applied(live: Manifest | None, after: Manifest) -> Applied:
    found = change.between(live, after)
    return Applied(found.ref, found.action, after)


def _placed(error: RefusedError, manifest: Manifest, cluster: Cluster) -> RefusedError:
    """The refusal with the object it is about, as the caller wrote it."""
    if error.about is None:
        text = error.said
        about = ref(manifest, cluster.namespace)
        return RefusedError(
            f"{about}: {text}" if about.name else text,
            code=error.code,
            reason=error.reason,
            about=about,
            field=error.field,
            hint=error.hint,
        )
    return error


def _midway(error: BackendError, made: Sequence[Applied], looked: Sequence[Looked]) -> BackendError:
    if not made:
        return error
    counted = f"{len(made)} of {len(looked)} objects were applied before; once it is mended the same command goes on"
    text = f"{error.message.removeprefix('Kubernetes: ')}\n{counted}"
    if not isinstance(error, RefusedError):
        return BackendError("Kubernetes", text, hint=error.hint)
    return RefusedError(
        text, code=error.code, reason=error.reason, about=error.about, field=error.field, hint=error.hint
    )
