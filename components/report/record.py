"""The record of a run, and the small documents among its artifacts, read once and never written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import NotFoundError
from orchestrator.stores import artifacts
from orchestrator.stores.artifacts import Artifact, is_remote
from orchestrator.stores.metadata import Metadata, RunRecord, TaskRecord

METRICS, MODEL, DATASET = "system.Metrics", "system.Model", "system.Dataset"
DECISION, ENDPOINT = artifacts.DECISION, artifacts.ENDPOINT
STATISTICS, ANOMALIES = "orchestrator.Statistics", "orchestrator.Anomalies"
DOCUMENTS = frozenset({METRICS, MODEL, DECISION, ENDPOINT, STATISTICS, ANOMALIES})

_LARGEST = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a run: a task's documents by URI, and of those that cannot be read, why."""

    run: RunRecord
    tasks: tuple[TaskRecord, ...]
    state: Path
    documents: Mapping[str, Any] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """URIs of files and folders that lie there no more."""


def read(state: str, run: str) -> Record | str:
    """The record of a run, or a sentence that says why there is none here."""
    if not state or not run:
        return "The record of the run cannot be reached from here (ORC_STATE and ORC_RUN are not set)."
    file = Path(state).absolute() / "state.db"
    if not file.is_file():
        return f"The record of the run is not here: there is no {file}."
    metadata = Metadata(file)
    try:
        found = metadata.run(run)
        tasks = tuple(metadata.tasks(found.id))
    except NotFoundError:
        return f"The run {run!r} is not in the record {file}."
    finally:
        metadata.close()
    return _with_documents(Record(found, tasks, file.parent))


def made(tasks: Iterable[TaskRecord]) -> list[tuple[TaskRecord, Artifact]]:
    """Every artifact with the task that made it, in the order of the tasks."""
    return [(task, artifact) for task in tasks for listed in task.outputs.artifacts.values() for artifact in listed]


def _with_documents(record: Record) -> Record:
    documents: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    gone: set[str] = set()
    for _, artifact in made(record.tasks):
        if is_remote(artifact.uri):
            continue
        if not _is_there(artifact.path):
            gone.add(artifact.uri)
        elif artifact.type in DOCUMENTS:
            try:
                documents[artifact.uri] = _document(artifact)
            except (OSError, ValueError, RecursionError) as error:
                unreadable[artifact.uri] = getattr(error, "strerror", None) or str(error)
    return Record(record.run, record.tasks, record.state, documents, unreadable, frozenset(gone))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # A name that no file system takes.
        return False


def _document(artifact: Artifact) -> Any:
    path = artifact.path / "model.json" if artifact.type == MODEL else artifact.path
    size = path.stat().st_size
    if size > _LARGEST:
        raise ValueError(f"{size:,} bytes are too many to show")
    return json.loads(path.read_bytes())
