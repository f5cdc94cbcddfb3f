"""The parity gate: what the ONNX form answers beside what the model answers, on the same real rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from orchestrator.model.folder import Prediction
from orchestrator.model.signature import Array

MAX_DIFFERENCE = 1e-4


@dataclass(frozen=True, slots=True)
class Gate:
    """How many rows were compared and what differed, with the bounds it was held to.

    `largest` is the largest difference between two probabilities of a class; for numbers, that of the predictions as
    a part of how much the model's own predictions vary (their standard deviation).
    """

    rows: int
    differing: int
    largest: float
    data: str = ""
    max_differing: int = 0
    max_difference: float = MAX_DIFFERENCE

    @property
    def passed(self) -> bool:
        """Whether the form may stand in for the model; NaN is no small difference."""
        return self.rows > 0 and self.differing <= self.max_differing and self.largest <= self.max_difference

    def __str__(self) -> str:
        return f"{self.rows:,} rows: {self.differing:,} labels differ, largest difference {self.largest:.1e}"


def compare(
    pairs: Iterable[tuple[Prediction, Prediction]], *, data: str, max_differing: int, max_difference: float
) -> Gate:
    """The model's predictions beside those of its form, in as many parts as the data came in."""
    rows = differing = 0
    largest = 0.0
    own: list[Array] = []
    for model, form in pairs:
        rows += len(model.values)
        if model.probabilities is not None and form.probabilities is not None:
            differing += int(np.sum(model.values != form.values))
            largest = _most(largest, np.abs(model.probabilities - form.probabilities))
        elif model.values.dtype.kind in "iu":  # Clusters: labels without probabilities.
            differing += int(np.sum(model.values != form.values))
        else:
            own.append(model.values)
            largest = _most(largest, np.abs(model.values - form.values))
    if own:
        largest /= float(np.std(np.concatenate(own))) or 1.0
    # JSON has no word for NaN; nothing passes with it either.
    largest = largest if np.isfinite(largest) else float(np.finfo(np.float64).max)
    return Gate(rows, differing, float(largest), data, max_differing, max_difference)


def _most(largest: float, differences: Array) -> float:
    return float(np.max(differences, initial=largest)) if differences.size else largest
