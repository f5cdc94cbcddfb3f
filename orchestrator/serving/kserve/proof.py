"""What had proved itself: how the next deployment knows what to put back, though this one is killed at any moment.

The object of a deployment that is under way carries, in an annotation, what it takes the place of. When the endpoint
has answered as it should, the object is marked as proved. The mark cannot be an annotation or a label: KServe copies
both to the pods, so that writing one would start every replica anew. It is the name of a field manager: "somebody
called `orchestrator-proved-<declaration>` applied this object, too". Nothing but the object's bookkeeping changes, and
another declaration, having another name, is not proved by it.

An object without the annotation was applied by a person, who answers for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.serving.kserve import canary, objects, scaling
from orchestrator.serving.kserve.objects import Manifest

BEFORE = "orchestrator/before"
MANAGER = "orchestrator"
_PROVED = "orchestrator-proved-"


def prepared(service: Manifest, previous: Manifest | None, live: Manifest | None) -> Manifest:
    """The object as a deployment applies it: with what it takes the place of.

    What is there already, proved, keeps what it took the place of: to write it anew would start the replicas anew.
    """
    if live is not None and objects.mark(live) == objects.mark(service) and previous == _alone(live):
        before = (live["metadata"].get("annotations") or {}).get(BEFORE)
        return service if before is None else _annotated(service, {BEFORE: before})
    kept = _without(previous, BEFORE) if previous else None
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"), sort_keys=True) if kept else ""
    return _annotated(service, {BEFORE: text})


def previous(live: Manifest | None) -> Manifest | None:
    """What had proved itself, as it is applied to put it back; None when nothing had."""
    if live is None:
        return None
    before = (live["metadata"].get("annotations") or {}).get(BEFORE)
    if before is None or is_proved(live):
        return _alone(live)
    try:
        found = json.loads(before) if before else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def is_proved(live: Manifest) -> bool:
    """Whether the declaration this object has now answered as it should."""
    return manager(live) in _managers(live)


def manager(service: Manifest) -> str:
    """The name of the manager that stands for "this declaration is proved"."""
    return _PROVED + objects.mark(service)


def outdated(live: Manifest) -> tuple[str, ...]:
    """The managers that stand for declarations before this one."""
    return tuple(sorted(each for each in _managers(live) if each.startswith(_PROVED) and each != manager(live)))


def claim(service: Manifest, *, held: bool = True) -> Manifest:
    """What such a manager applies: one value that every object of ours has; or, to be gone, nothing."""
    metadata = {key: service["metadata"][key] for key in ("name", "namespace")}
    mode = {scaling.DEPLOYMENT_MODE: service["metadata"]["annotations"][scaling.DEPLOYMENT_MODE]} if held else {}
    held_fields = {"annotations": mode} if held else {}
    return {"apiVersion": objects.API, "kind": objects.KIND, "metadata": {**metadata, **held_fields}}


def applied(live: Manifest) -> Manifest:
    """What we applied, out of what is there: fields that others, or the server, have set are not ours to put back."""
    found: dict[str, Any] = {}
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            found = _picked(live, entry.get("fieldsV1") or {})
    metadata = {key: live["metadata"][key] for key in ("name", "namespace")}
    metadata |= {key: found.get("metadata", {}).get(key) or {} for key in ("labels", "annotations")}
    spec = found.get("spec", live["spec"])
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "spec": spec}


def _alone(live: Manifest) -> Manifest:
    """What we applied, without a canary: a deployment that was killed has left it there, and nobody watches it."""
    return canary.withdrawn(applied(live))


def _managers(live: Manifest) -> frozenset[str]:
    return frozenset(str(each.get("manager")) for each in live["metadata"].get("managedFields") or ())


def _picked(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that a set of fields, in the form of `fieldsV1`, names."""
    inner = {key: below for key, below in fields.items() if key != "."}
    if not inner:
        return value
    if isinstance(value, Mapping):
        named = {key.removeprefix("f:"): below for key, below in inner.items()}
        return {key: _picked(value[key], below) for key, below in named.items() if key in value}
    if isinstance(value, list):
        return [*_items(value, inner)]
    return value


def _items(values: list[Any], fields: Mapping[str, Any]) -> Iterator[Any]:
    for value in values:
        for key, below in fields.items():
            kind, _, text = key.partition(":")
            wanted = json.loads(text)
            if kind == "v" and value == wanted:
                yield value
            elif kind == "k" and isinstance(value, Mapping) and all(value.get(k) == v for k, v in wanted.items()):
                yield _picked(value, below)


def _annotated(service: Manifest, more: Mapping[str, str]) -> Manifest:
    metadata = service["metadata"]
    return {**service, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **more}}}


def _without(service: Manifest, annotation: str) -> Manifest:
    metadata = service["metadata"]
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != annotation}
    return {**service, "metadata": {**metadata, "annotations": kept}}
