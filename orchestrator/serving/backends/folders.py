"""A model folder of our own, in whichever form it is, as the server sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.model.manifest import Class, Manifest
from orchestrator.model.signature import Array, Columns, Signature

if TYPE_CHECKING:
    # It is imported when a model is loaded, not by a server that waits for one.
    from orchestrator.model.folder import Prediction


class Loaded(Protocol):
    """A model that was read from its folder."""

    @property
    def manifest(self) -> Manifest: ...
    def predict(self, columns: Columns) -> Prediction: ...


@dataclass(frozen=True, slots=True)
class FolderModel:
    """What was read from a folder, with the names of what it predicts."""

    loaded: Loaded
    platform: str
    prediction: str
    probabilities: str

    @property
    def signature(self) -> Signature:
        return self.loaded.manifest.signature

    @property
    def example(self) -> Sequence[Mapping[str, Any]]:
        return self.loaded.manifest.example

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """What the columns of the probabilities are, for explanations and files."""
        return self.loaded.manifest.classes

    def outputs(self, columns: Columns) -> dict[str, Array]:
        predicted = self.loaded.predict(columns)
        if predicted.probabilities is None:
            return {self.prediction: predicted.values}
        return {self.prediction: predicted.values, self.probabilities: predicted.probabilities}


def hosted(loaded: Loaded, platform: str) -> FolderModel:
    """The model under the names its signature gives what it predicts."""
    names = [column.name for column in loaded.manifest.signature.outputs]
    prediction = names[0] if names else "prediction"
    return FolderModel(loaded, platform, prediction, names[1] if len(names) > 1 else "probabilities")
