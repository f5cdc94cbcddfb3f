"""The ONNX form of a model as the server sees it: onnxruntime and numpy, nothing of what the model was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.model.manifest import Class
from orchestrator.model.signature import Array, Columns, Signature
from orchestrator.serving.hosted import Model

if TYPE_CHECKING:
    from orchestrator.model.onnx import form

PLATFORM = "onnxruntime"


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A graph that takes the columns of a request, and answers as the model it is a form of."""

    loaded: form.Loaded
    signature: Signature
    example: Sequence[Mapping[str, Any]]
    prediction: str
    probabilities: str
    platform: str = PLATFORM

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """What the columns of the probabilities are, for explanations and files."""
        return self.loaded.manifest.classes

    def outputs(self, columns: Columns) -> dict[str, Array]:
        predicted = self.loaded.predict(columns)
        if predicted.probabilities is None:
            return {self.prediction: predicted.values}
        return {self.prediction: predicted.values, self.probabilities: predicted.probabilities}


def load(path: Path, digest: str) -> Model:
    """The form in a folder that has this digest. Raises OrchestratorError."""
    from orchestrator.model.onnx import form

    loaded = form.load(path, digest)
    manifest = loaded.manifest
    names = [column.name for column in manifest.signature.outputs]
    return OnnxModel(
        loaded,
        manifest.signature,
        manifest.example,
        names[0] if names else "prediction",
        names[1] if len(names) > 1 else "probabilities",
    )
