"""A scikit-learn or Keras model folder of our own, with the transform it was trained with, as the server sees it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.serving.backends import folders
from orchestrator.serving.hosted import Model

PLATFORMS = {"sklearn": "scikit-learn", "keras": "keras"}


def load(path: Path, digest: str) -> Model:
    """The model in a folder that has this digest. Raises OrchestratorError."""
    from orchestrator.model import folder

    model = folder.load(path, digest)
    return folders.hosted(model, PLATFORMS.get(model.manifest.flavor, model.manifest.flavor))
