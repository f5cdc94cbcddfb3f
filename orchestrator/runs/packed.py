"""A pipeline as resources of Kubernetes: `kubectl apply` brings it to a server that keeps its pipelines there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.runners.kfp import manifest
from orchestrator.runs import pinning, prepared
from orchestrator.runs.loaded import load
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Packed:
    """The resources as YAML, and what is to be said of them."""

    text: str
    warnings: tuple[str, ...]


def pack(
    file: Path,
    settings: Settings,
    *,
    unpinned: bool = False,
    upload: bool = False,
    said: prepared.Said = prepared.unsaid,
) -> Packed:
    """A pipeline file as resources. Without `upload` its local files are named as if they had been uploaded."""
    pinned = pinning.on_cluster(load(file), file, unpinned=unpinned)
    warnings = pinned.warnings
    ready = prepared.prepare(pinned.loaded, {}, settings, upload=upload, said=said)
    text = manifest.dump(ready.pipeline, pinned.loaded.platform, namespace=settings.kfp_namespace)
    if ready.files and not upload:
        names = ", ".join(each.written for each in ready.files)
        warnings = (*warnings, f"{names}: not uploaded; --upload puts them where the pipeline looks for them")
    return Packed(text, warnings)
