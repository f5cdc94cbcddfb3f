"""Linear models of scikit-learn without its checks, which cost a hundred times what one row does.

The server and the transform have made them: a matrix of float64 with the right columns. The arithmetic is the
estimator's own, on its coefficients; what is not finite is left to the estimator, which says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Predict = Callable[[Matrix], Matrix]

# Rows of a trial in which the shortcut and the estimator have to agree to the last digits.
_TRIAL = 7
_TOLERANCE = 1e-12


def shortcut(estimator: Any) -> Predict | None:
    """What `predict_proba` (or `predict`, of a regression) gives for a matrix of finite numbers; None for another kind.

    A type derived from one of these may do anything, and is not one of them.
    """
    found = _found(estimator)
    if found is None:
        return None
    asked = getattr(estimator, "predict_proba", None) or estimator.predict
    trial = np.random.default_rng(0).normal(size=(_TRIAL, estimator.coef_.shape[-1]))
    expected = np.asarray(asked(trial))
    given = found(trial)
    same = given.shape == expected.shape and np.allclose(given, expected, rtol=_TOLERANCE, atol=_TOLERANCE)
    return found if same else None


def is_finite(matrix: Matrix) -> bool:
    """Whether every number is; a sum that is too large counts as not, and only costs time."""
    return math.isfinite(matrix.sum())


def _found(estimator: Any) -> Predict | None:
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

    kind = type(estimator)
    if kind in (LinearRegression, Ridge) and isinstance(estimator.coef_, np.ndarray) and estimator.coef_.ndim == 1:
        return _line(estimator.coef_, estimator.intercept_)
    if kind is LogisticRegression and isinstance(estimator.coef_, np.ndarray):
        weights = np.ascontiguousarray(estimator.coef_.T)
        if len(estimator.classes_) == 2 and weights.shape[1] == 1:
            return _two(weights[:, 0], float(estimator.intercept_[0]))
        return _several(weights, estimator.intercept_)
    return None


def _line(weights: Matrix, intercept: Any) -> Predict:
    return lambda matrix: matrix @ weights + intercept


def _two(weights: Matrix, intercept: float) -> Predict:
    from scipy.special import expit

    def predict(matrix: Matrix) -> Matrix:
        found = np.empty((len(matrix), 2))
        expit(matrix @ weights + intercept, out=found[:, 1])
        np.subtract(1, found[:, 1], out=found[:, 0])
        return found

    return predict


def _several(weights: Matrix, intercepts: Matrix) -> Predict:
    def predict(matrix: Matrix) -> Matrix:
        scores = matrix @ weights + intercepts
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    return predict
