"""Curves over the threshold of a score, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Counts of true and false positives at each threshold, from the highest down; before them none is positive."""

    thresholds: Floats
    true_positives: Floats
    false_positives: Floats
    positives: int
    negatives: int

    @property
    def recall(self) -> Floats:
        return self.true_positives / self.positives if self.positives else np.full(len(self.true_positives), np.nan)

    @property
    def false_positive_rate(self) -> Floats:
        return self.false_positives / self.negatives if self.negatives else np.full(len(self.false_positives), np.nan)

    @property
    def precision(self) -> Floats:
        found = self.true_positives + self.false_positives
        return np.divide(self.true_positives, found, out=np.ones_like(found), where=found > 0)


def curve(truth: NDArray[Any], scores: Floats) -> Curve:
    """The curve of scores against a truth of zeros and ones."""
    truth = truth.astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(truth[order])
    # Rows with equal scores are positive together: only the last of each run is a point of the curve.
    last = (
        np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1) if len(ordered) else np.empty(0, dtype=np.int64)
    )
    found = np.concatenate([[0.0], hits[last]])
    count = np.concatenate([[0.0], last + 1.0])
    # The highest threshold is one that no row reaches; infinity, which is usual for it, is no JSON.
    top = np.nextafter(max(float(ordered[0]) if len(ordered) else 0.0, 1.0), np.inf)
    positives = int(truth.sum())
    return Curve(np.concatenate([[top], ordered[last]]), found, count - found, positives, len(truth) - positives)


def area(points: Curve) -> float:
    """Area under the ROC curve; NaN when there is one class only."""
    if not points.positives or not points.negatives:
        return float("nan")
    return float(np.trapezoid(points.recall, points.false_positive_rate))


def average_precision(points: Curve) -> float:
    """Precision at each threshold, weighted by the recall it adds."""
    if not points.positives:
        return float("nan")
    return float(np.sum(np.diff(points.recall) * points.precision[1:]))


def thinned(points: Curve, most: int = 200) -> Curve:
    """At most so many points, spread evenly over the plane, with both ends: enough for a picture and for metadata."""
    size = len(points.thresholds)
    if size <= most:
        return points
    recall, fall = np.nan_to_num(points.recall), np.nan_to_num(points.false_positive_rate)
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(recall)) + np.abs(np.diff(fall)))])
    keep = np.unique(np.concatenate([np.searchsorted(way, np.linspace(0, way[-1], most - 1)), [0, size - 1]]))
    keep = np.minimum(keep, size - 1)
    return Curve(
        points.thresholds[keep],
        points.true_positives[keep],
        points.false_positives[keep],
        points.positives,
        points.negatives,
    )
