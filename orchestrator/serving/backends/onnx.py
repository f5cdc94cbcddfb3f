"""The ONNX form of a model as the server sees it: onnxruntime and numpy, nothing of what the model was trained with."""

from __future__ import annotations

from pathlib import Path

from orchestrator.serving.backends import folders
from orchestrator.serving.hosted import Model

PLATFORM = "onnxruntime"


def load(path: Path, digest: str) -> Model:
    """The form in a folder that has this digest. Raises OrchestratorError."""
    from orchestrator.model.onnx import form

    return folders.hosted(form.load(path, digest), PLATFORM)
