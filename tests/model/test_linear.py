"""The shortcut of linear models gives what scikit-learn gives, and only for what it knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from orchestrator.model import linear

ROWS = np.random.default_rng(3).normal(size=(400, 5)) * [1, 10, 1e3, 1e-3, 1]
TWO = (ROWS[:, 0] + ROWS[:, 4] > 0).astype(int)
THREE = np.digitize(ROWS[:, 0], [-0.5, 0.5])


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (LogisticRegression(max_iter=2000), TWO),
        (LogisticRegression(max_iter=2000), THREE),
        (LinearRegression(), ROWS @ [1, 2, 3, 4, 5]),
        (LinearRegression(fit_intercept=False), ROWS @ [1, 2, 3, 4, 5]),
        (Ridge(), ROWS @ [1, 2, 3, 4, 5]),
    ],
    ids=["two classes", "three classes", "line", "through nothing", "ridge"],
)
@pytest.mark.parametrize("rows", [1, 400])
def test_it_is_what_the_estimator_says(estimator: Any, target: Any, rows: int) -> None:
    estimator.fit(ROWS, target)
    asked = getattr(estimator, "predict_proba", None) or estimator.predict
    found = linear.shortcut(estimator)
    assert found is not None
    assert np.abs(found(ROWS[:rows]) - asked(ROWS[:rows])).max() < 1e-11
    far = ROWS[:rows] * 1e4
    assert np.array_equal(np.isfinite(found(far)), np.isfinite(asked(far)))


class Derived(LogisticRegression):
    """A type that computes something of its own."""

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X)[:, ::-1]


def test_other_estimators_speak_for_themselves() -> None:
    assert linear.shortcut(Derived(max_iter=2000).fit(ROWS, TWO)) is None
    assert linear.shortcut(RandomForestClassifier(2).fit(ROWS, TWO)) is None
    several = LinearRegression().fit(ROWS, ROWS[:, :2])
    assert linear.shortcut(several) is None


def test_a_trial_that_fails_is_heeded() -> None:
    estimator = LogisticRegression(max_iter=2000).fit(ROWS, TWO)
    estimator.predict_proba = lambda rows: np.full((len(rows), 2), 0.5)
    assert linear.shortcut(estimator) is None


@pytest.mark.parametrize(("value", "finite"), [(1.0, True), (np.nan, False), (np.inf, False), (-np.inf, False)])
def test_what_is_not_finite_is_seen(value: float, finite: bool) -> None:
    assert linear.is_finite(np.array([[0.0, value], [1.0, 2.0]])) is finite
