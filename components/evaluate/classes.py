"""The metrics of a classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate import curve as curves
from orchestrator.model.manifest import Class

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAMES = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
    "auc",
    "average_precision",
    "log_loss",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """The truth, and what a model says about it: class numbers, and a probability for each class it knows.

    `labels` begins with the classes of the model; labels that only the data has come after, and are never predicted.
    """

    labels: tuple[Class, ...]
    truth: Ints
    predicted: Ints
    probabilities: Floats
    # The number of the positive class when there are two, else None: each class then counts in turn.
    positive: int | None = None

    def rows(self, chosen: NDArray[Any]) -> Answers:
        """The same for some of the rows."""
        return Answers(
            self.labels, self.truth[chosen], self.predicted[chosen], self.probabilities[chosen], self.positive
        )

    @property
    def broken(self) -> bool:
        """Whether any answer is not a number; then nothing that is computed from them may look like one."""
        return bool(np.isnan(self.probabilities).any())


@dataclass(frozen=True, slots=True)
class PerClass:
    """Precision, recall, F1 and number of rows of each class."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Floats


def decide(probabilities: Floats, positive: int | None, threshold: float) -> Ints:
    """The predicted class numbers: the likeliest class, or with two classes the positive one from the threshold on."""
    if positive is None:
        likeliest: Ints = np.argmax(probabilities, axis=1).astype(np.int64)
        return likeliest
    found: Ints = (probabilities[:, positive] >= threshold).astype(np.int64)
    return found if positive == 1 else 1 - found


def confusion(answers: Answers) -> Ints:
    """How many rows of each class (row) were said to be of each class (column)."""
    size = len(answers.labels)
    return np.bincount(answers.truth * size + answers.predicted, minlength=size * size).reshape(size, size)


def per_class(matrix: Ints) -> PerClass:
    """The metrics of each class on its own; 0 where nothing was found or nothing was there."""
    hits = np.diag(matrix).astype(np.float64)
    said, there = matrix.sum(axis=0).astype(np.float64), matrix.sum(axis=1).astype(np.float64)
    return PerClass(_ratio(hits, said), _ratio(hits, there), _ratio(2 * hits, said + there), there)


def measure(answers: Answers) -> dict[str, float]:
    """The metrics by name; every one is NaN when there is no row, or an answer is not a number."""
    if not len(answers.truth) or answers.broken:
        return dict.fromkeys(NAMES, float("nan"))
    matrix = confusion(answers)
    each = per_class(matrix)
    there = each.support > 0
    # A class that is neither in the data nor predicted says nothing about the model.
    counted = there | (matrix.sum(axis=0) > 0)
    weights = each.support / each.support.sum()
    if answers.positive is None:
        precision, recall, f1 = (float(np.mean(x[counted])) for x in (each.precision, each.recall, each.f1))
    else:
        precision, recall, f1 = (float(x[answers.positive]) for x in (each.precision, each.recall, each.f1))
    auc, average = _areas(answers)
    return {
        "accuracy": float(np.diag(matrix).sum() / matrix.sum()),
        "balanced_accuracy": float(np.mean(each.recall[there])),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "weighted_precision": float(weights @ each.precision),
        "weighted_recall": float(weights @ each.recall),
        "weighted_f1": float(weights @ each.f1),
        "auc": auc,
        "average_precision": average,
        "log_loss": _log_loss(answers),
    }


def label_curves(answers: Answers) -> tuple[tuple[Class, curves.Curve], ...]:
    """The curve of the positive class, or with more than two classes of each class against the rest."""
    known: Sequence[int] = range(answers.probabilities.shape[1]) if answers.positive is None else (answers.positive,)
    return tuple((answers.labels[k], curves.curve(answers.truth == k, answers.probabilities[:, k])) for k in known)


def whole_curve(answers: Answers) -> curves.Curve:
    """One curve for the model: of the positive class, or over all decisions "this class or not" together."""
    if answers.positive is not None:
        return label_curves(answers)[0][1]
    size = answers.probabilities.shape[1]
    truth = answers.truth[:, None] == np.arange(size)[None, :]
    return curves.curve(truth.ravel(), answers.probabilities.ravel())


def _areas(answers: Answers) -> tuple[float, float]:
    found = [each for _, each in label_curves(answers)]
    return float(np.mean([curves.area(c) for c in found])), float(np.mean([curves.average_precision(c) for c in found]))


def _log_loss(answers: Answers) -> float:
    """A class the model does not know has probability 0, and 0 counts as the smallest step from it."""
    known = answers.truth < answers.probabilities.shape[1]
    picked = answers.probabilities[np.arange(len(answers.truth)), np.where(known, answers.truth, 0)]
    least = float(np.finfo(np.float64).eps)
    return float(-np.mean(np.log(np.clip(np.where(known, picked, 0.0), least, 1 - least))))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
