"""The artifacts a program made: where it left them, or says they are, and what it says of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.digest import of_text
from orchestrator.errors import RunError
from orchestrator.ir.spec import OutputArtifact
from orchestrator.runners.local.places import Places
from orchestrator.stores.artifacts import Artifact, ArtifactStore, is_remote, local_path

_OBJECTS = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "webhdfs", "memory"))
"""Where objects are kept that can be fetched; other URIs, of a model service for example, are names and no content."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a program says of one artifact in its executor_output.json."""

    uri: str = ""
    path: str = ""
    """KFP's custom path."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def told(name: str, listed: Any) -> tuple[Told, ...]:
    """What executor_output.json holds under the name of an artifact. Raises RunError when it is not as KFP has it."""
    match listed:
        case {"artifacts": list() as rows}:
            return tuple(_told(name, row) for row in rows)
    raise RunError(f"the artifact {name!r} in its executor_output.json is not as KFP has it")


def collect(
    name: str, declared: OutputArtifact, said: tuple[Told, ...], places: Places, store: ArtifactStore
) -> tuple[Artifact, ...]:
    """The artifacts of one output, kept. Raises RunError for one that is not where the program says it is."""
    usual = places.artifact(name)
    if declared.is_artifact_list and (said or not usual.exists()):
        return tuple(
            _artifact(name, declared, each, usual / str(index), places=places, store=store)
            for index, each in enumerate(said)
        )
    return (_artifact(name, declared, said[0] if said else Told(), usual, places=places, store=store),)


def salvaged(
    name: str, declared: OutputArtifact, said: tuple[Told, ...], places: Places, store: ArtifactStore
) -> tuple[Artifact, ...]:
    """What a failed program had written to the place of an output, wherever it would have liked it to be."""
    metadata = {**declared.metadata, **(said[0].metadata if said else {})}
    return (store.keep(places.artifact(name), name=name, type=declared.artifact_type.title, metadata=metadata),)


def _told(name: str, row: Any) -> Told:
    match row:
        case dict():
            uri, path = row.get("uri") or "", row.get("customPath") or row.get("custom_path") or ""
            metadata = row.get("metadata") or {}
            if isinstance(uri, str) and isinstance(path, str) and isinstance(metadata, dict):
                return Told(uri, path, metadata)
    raise RunError(f"the artifact {name!r} in its executor_output.json is not as KFP has it")


def _artifact(
    name: str, declared: OutputArtifact, said: Told, usual: Path, *, places: Places, store: ArtifactStore
) -> Artifact:
    kind, metadata = declared.artifact_type.title, {**declared.metadata, **said.metadata}
    if not said.path and is_remote(said.uri):
        if urlsplit(said.uri).scheme in _OBJECTS:
            return replace(store.adopt(said.uri, type=kind, metadata=metadata), name=name)
        return _reference(name, kind, said.uri, metadata)
    path = _located(said, places) or usual
    if path == usual:
        if not path.exists():
            # An artifact of metadata alone, as KFP's Metrics are when nothing is written to their path.
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(metadata, sort_keys=True), encoding="utf-8")
        return store.keep(path, name=name, type=kind, metadata=metadata)
    if not path.exists():
        if said.path or local_path(said.uri).is_absolute():
            raise RunError(f"its output {name!r} should be at {said.path or said.uri}, where nothing is")
        return _reference(name, kind, said.uri, metadata)
    if any(_is_in(path, each) for each in (places.folder, places.work, places.scratch)):
        return store.keep(path, name=name, type=kind, metadata=metadata, file=path.name)
    if said.path or _is_in(path, places.folder.parent.parent):
        # What lies outside may be somebody else's, and what lies in the run's folder goes with the run.
        return store.copy(path, name=name, type=kind, metadata=metadata)
    return replace(store.adopt(str(path), type=kind, metadata=metadata), name=name)


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a path lies below a folder, however either is written; a link lies where it is, not where it leads."""
    return (path.parent.resolve() / path.name).is_relative_to(folder.resolve())


def _located(said: Told, places: Places) -> Path | None:
    """The path a program names, as it is seen from its working directory."""
    named = said.path or said.uri
    return Path(os.path.normpath(places.work / local_path(named))) if named else None


def _reference(name: str, kind: str, uri: str, metadata: Mapping[str, Any]) -> Artifact:
    """An artifact that is a name of something: nothing of it lies here."""
    return Artifact(name, kind, uri, of_text(uri), metadata=metadata)
