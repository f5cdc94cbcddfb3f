"""A scikit-learn or Keras model folder of our own, with the transform it was trained with, as the server sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.model.manifest import Class
from orchestrator.model.signature import Array, Columns, Signature
from orchestrator.serving.hosted import Model

if TYPE_CHECKING:
    from orchestrator.model import folder

PLATFORMS = {"sklearn": "scikit-learn", "keras": "keras"}


@dataclass(frozen=True, slots=True)
class FolderModel:
    """A model of our own format, with the transform it was trained with."""

    model: folder.Model
    signature: Signature
    platform: str
    example: Sequence[Mapping[str, Any]]
    prediction: str
    probabilities: str

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """What the columns of the probabilities are, for explanations."""
        return self.model.manifest.classes

    def outputs(self, columns: Columns) -> dict[str, Array]:
        predicted = self.model.predict(columns)
        if predicted.probabilities is None:
            return {self.prediction: predicted.values}
        return {self.prediction: predicted.values, self.probabilities: predicted.probabilities}


def load(path: Path, digest: str) -> Model:
    """The model in a folder that has this digest. Raises OrchestratorError."""
    from orchestrator.model import folder

    model = folder.load(path, digest)
    manifest = model.manifest
    names = [column.name for column in manifest.signature.outputs]
    return FolderModel(
        model,
        manifest.signature,
        PLATFORMS.get(manifest.flavor, manifest.flavor),
        manifest.example,
        names[0] if names else "prediction",
        names[1] if len(names) > 1 else "probabilities",
    )
