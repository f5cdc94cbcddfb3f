"""When an object is ready, by its kind: pure, from what the object says of itself."""

from __future__ import annotations

from orchestrator.cluster.objects import Manifest, Progress


def ready(manifest: Manifest) -> Progress:
    """How far an object is: rollouts finished, Jobs complete, claims bound, `Ready` or `Available` of all else."""
    raise NotImplementedError
