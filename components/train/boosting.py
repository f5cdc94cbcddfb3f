"""Boosted trees grown a few at a time, so that what there is can be kept in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.train.checkpoint import Checkpoint

_AT_ONCE = 10


def fit(
    estimator: Any,
    matrix: NDArray[np.float64],
    values: Any,
    *,
    kept: Checkpoint,
    progress: Callable[[int, int, str], None],
) -> Any:
    """The estimator with all its trees, or as many as it wants when it stops early."""
    import joblib

    chosen = estimator.get_params()
    total = chosen["max_iter"]
    before, done = kept.begin(joblib.load, "trees")
    grown = estimator if before is None else before
    while done < total:
        done = min(done + _AT_ONCE, total)
        grown.set_params(warm_start=True, max_iter=done).fit(matrix, values)
        if grown.n_iter_ < done:
            break
        progress(done, total, "trees")
        kept.keep(done, lambda file: _dump(grown, file), ".joblib")
    return grown.set_params(**chosen)


def _dump(estimator: Any, file: Any) -> None:
    import joblib

    joblib.dump(estimator, file, compress=3)
