"""A pipeline file made ready for a server: checked against its version, images by digests, files where it sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.runners import arguments, kfp
from orchestrator.runs import connected, given, pinning, portable, prepared
from orchestrator.runs.loaded import Loaded, load
from orchestrator.runs.prepared import Prepared
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """What a server can be asked to run, and what is to be said of it."""

    connection: kfp.Connection
    loaded: Loaded
    prepared: Prepared
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.loaded.pipeline.pipeline_info.name


def make(
    file: Path,
    texts: Mapping[str, str],
    settings: Settings,
    *,
    unpinned: bool,
    anyway: bool,
    said: prepared.Said = prepared.unsaid,
) -> Ready:
    """The pipeline with every parameter's value: given, or its default. Raises OrchestratorError for what cannot run.

    What can be known without sending a file is known before one is sent.
    """
    connection = connected.connection(settings)
    loaded = load(file, texts)
    values = arguments.complete(loaded.pipeline, given.values(loaded.pipeline, texts))
    warnings = portable.warnings(file, kfp.version(connection), anyway=anyway)
    pinned = pinning.on_cluster(loaded, file, unpinned=unpinned)
    sent = prepared.prepare(pinned.loaded, values, settings, said=said)
    return Ready(connection, pinned.loaded, sent, (*pinned.warnings, *warnings))
