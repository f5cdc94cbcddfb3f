"""What differs between an object as it is and as it would be, field by field: pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.cluster.objects import Action, Change, Field, Manifest, ref

HIDDEN = "(hidden)"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# By these a list's elements are found again, as the server merges them.
_KEYS = ("name", "key", "containerPort", "port", "mountPath", "type", "ip", "topologyKey", "devicePath", "uid")
_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


def between(live: Manifest | None, after: Manifest, *, note: str = "") -> Change:
    """The change from what is there to what would be."""
    about = ref(after)
    if live is None:
        return Change(about, Action.CREATE, note=note)
    fields = tuple(_hidden(each, about.kind) for each in _differences(_clean(live), _clean(after), ""))
    return Change(about, Action.CHANGE if fields else Action.UNCHANGED, fields, note=note)


def deletion(live: Manifest) -> Change:
    """The change that removes an object."""
    return Change(ref(live), Action.DELETE)


def _clean(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _NOISE}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _APPLIED}
    metadata["annotations"] = annotations
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def _differences(old: Any, new: Any, path: str) -> Iterator[Field]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(key), new.get(key), _inside(path, str(key)))
    elif (
        isinstance(old, Sequence)
        and isinstance(new, Sequence)
        and not isinstance(old, str)
        and not isinstance(new, str)
    ):
        yield from _elements(old, new, path)
    elif _is_empty(old) and _is_empty(new):
        return
    else:
        yield Field(path, old, new)


def _elements(old: Sequence[Any], new: Sequence[Any], path: str) -> Iterator[Field]:
    key = next((key for key in _KEYS if _identifies(key, old) and _identifies(key, new)), None)
    if key is None:
        if all(not isinstance(each, Mapping | list) for each in (*old, *new)):
            yield Field(path, old, new)
            return
        for index in range(max(len(old), len(new))):
            before, after = (each[index] if index < len(each) else None for each in (old, new))
            yield from _differences(before, after, f"{path}[{index}]")
        return
    before, after = ({each[key]: each for each in side} for side in (old, new))
    changed = False
    for name in dict.fromkeys((*before, *after)):
        for each in _differences(before.get(name), after.get(name), f"{path}[{name}]"):
            changed = True
            yield each
    if not changed:  # Only their order is another.
        yield Field(path, list(before), list(after))


def _identifies(key: str, elements: Sequence[Any]) -> bool:
    if not all(isinstance(each, Mapping) and key in each for each in elements):
        return False
    return len({each[key] for each in elements}) == len(elements)


def _inside(path: str, key: str) -> str:
    shown = json.dumps(key) if "." in key or "/" in key else key
    if shown != key:
        return f"{path}[{shown}]"
    return f"{path}.{key}" if path else key


def _hidden(field: Field, kind: str) -> Field:
    """A secret's values are never shown; that they change is."""
    if kind != "Secret" or not field.path.startswith(("data", "stringData")):
        return field
    return Field(field.path, *(None if each is None else HIDDEN for each in (field.old, field.new)))


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [])
