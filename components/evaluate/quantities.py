"""The metrics of a regression, and of a clustering."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REGRESSION = ("mae", "mse", "rmse", "r2", "mape", "median_absolute_error", "max_error", "mean_error")
CLUSTERING = ("silhouette", "inertia", "clusters")

# Every pair of rows is compared for the silhouette, so a sample has to do.
SILHOUETTE_ROWS = 5_000


def regression(truth: Floats, predicted: Floats) -> dict[str, float]:
    """The metrics by name; every one is NaN when there is no row, or a prediction is not a number."""
    if not len(truth) or not np.isfinite(predicted).all():
        return dict.fromkeys(REGRESSION, float("nan"))
    error = predicted - truth
    mse = float(np.mean(error**2))
    # A share of nothing is no number: with a true 0 there is no percentage.
    shares = np.abs(error / truth) if (truth != 0).all() else np.array([np.nan])
    return {
        "mae": float(np.mean(np.abs(error))),
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "r2": _r2(truth, error),
        "mape": float(np.mean(shares)),
        "median_absolute_error": float(np.median(np.abs(error))),
        "max_error": float(np.max(np.abs(error))),
        "mean_error": float(np.mean(error)),
    }


def clustering(matrix: Floats, predicted: NDArray[Any], distances: Floats, *, seed: int = 0) -> dict[str, float]:
    """How tight and how far apart the clusters are, on these rows."""
    if not len(matrix):
        return dict.fromkeys(CLUSTERING, float("nan"))
    from sklearn.metrics import silhouette_score

    rows = np.arange(len(matrix))
    if len(rows) > SILHOUETTE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SILHOUETTE_ROWS, replace=False))
    found = len(np.unique(predicted[rows]))
    silhouette = silhouette_score(matrix[rows], predicted[rows]) if 1 < found < len(rows) else float("nan")
    return {
        "silhouette": float(silhouette),
        "inertia": float(np.sum(distances.min(axis=1) ** 2)),
        "clusters": float(len(np.unique(predicted))),
    }


def _r2(truth: Floats, error: Floats) -> float:
    if len(truth) < 2:
        return float("nan")
    total = float(np.sum((truth - truth.mean()) ** 2))
    left = float(np.sum(error**2))
    if total == 0:
        return 1.0 if left == 0 else 0.0
    return 1 - left / total
