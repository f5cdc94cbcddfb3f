"""The ONNX form of a model: every operation of a transform and every estimator answers as the model does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from orchestrator.errors import OrchestratorError
from orchestrator.model import fit, folder, frame, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.onnx import convert, form, gate
from orchestrator.model.onnx.gate import Gate
from orchestrator.model.signature import Column, InputError, Signature
from orchestrator.model.transform import Transform

SEED = 20261121


def table(rows: int = 400) -> pd.DataFrame:
    """Every type of column, with values missing, categories rare, and times before 1970 and around leap days."""
    rng = np.random.default_rng(SEED)
    numbers = pd.DataFrame(
        {
            "size": rng.normal(3, 2, rows),
            "weight": rng.exponential(100, rows),
            "rooms": rng.integers(1, 9, rows),
            "sold": rng.integers(0, 2, rows).astype(bool),
            "town": rng.choice(["Bilbao", "Ávila", "Lugo", "Ö", ""], rows, p=[0.5, 0.3, 0.15, 0.03, 0.02]),
            "when": [
                datetime(1899, 12, 28, tzinfo=UTC) + timedelta(days=int(d), seconds=int(s), microseconds=int(s) % 7)
                for d, s in zip(rng.integers(0, 73_000, rows), rng.integers(0, 86_400, rows), strict=True)
            ],
        }
    )
    numbers["weight"] = numbers["weight"].mask(rng.random(rows) < 0.1)
    numbers["town"] = numbers["town"].mask(rng.random(rows) < 0.1)
    numbers["when"] = numbers["when"].mask(rng.random(rows) < 0.05)
    return numbers


def model(path: Path, steps: list[Any] | None, estimator: Any, data: pd.DataFrame | None = None) -> folder.Model:
    """A model folder that was fitted on the table, loaded."""
    data = table() if data is None else data
    inputs, columns = frame.columns(data)
    fitted = fit.fit(steps, columns, inputs)
    _, matrix = transform.apply(fitted, columns)
    signal = np.nan_to_num(matrix).sum(axis=1)
    third = np.digitize(signal, np.quantile(signal, [0.4, 0.8]))
    classes = ("high", "low", "middle") if hasattr(estimator, "predict_proba") else None
    kind = "clustering" if isinstance(estimator, KMeans) else "classification" if classes else "regression"
    estimator.fit(matrix, third if classes else signal)
    described = Manifest(
        flavor="sklearn",
        algorithm="any",
        problem=kind,  # type: ignore[arg-type]
        signature=Signature(fitted.inputs, (Column("level", "string" if classes else "number"),)),
        classes=classes,
    )
    folder.save(path, described, fitted, estimator)
    return folder.load(path)


def loaded(path: Path, model: folder.Model, precision: str = "float64") -> form.Loaded:
    """The form of a model, written and read back."""
    made = convert.convert(model, precision=precision)
    form.save(path, model, made.content, form.Form("", made.wiring, Gate(0, 0, 0.0)))
    return form.load(path)


def assert_same(model: folder.Model, form: form.Loaded, columns: Any, *, within: float = 1e-12) -> None:
    ours, theirs = model.predict(columns), form.predict(columns)
    if ours.probabilities is not None:
        np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=within, rtol=0)
        assert theirs.values.tolist() == ours.values.tolist()
    else:
        np.testing.assert_allclose(theirs.values, ours.values, atol=within, rtol=within)


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=500),
    "linear": LinearRegression,
    "forest": lambda: RandomForestClassifier(12, random_state=0),
    "forest of numbers": lambda: RandomForestRegressor(12, random_state=0),
    "extra trees": lambda: ExtraTreesRegressor(5, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=12, random_state=0),
    "boosting of numbers": lambda: HistGradientBoostingRegressor(max_iter=12, random_state=0),
    "clusters": lambda: KMeans(3, n_init=2, random_state=0),
    "vectors": lambda: SVC(probability=True, random_state=0),
}
EVERYTHING = [
    {"datetime": {"columns": "timestamp", "parts": ["year", "month", "weekday", "hour"]}},
    {"impute": {"columns": "numeric", "strategy": "median"}},
    {"scale": {"columns": "numeric"}},
    {"encode": {"columns": "string"}},
]


@pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_answers_as_the_model_does(tmp_path: Path, name: str) -> None:
    ours = model(tmp_path / "model", EVERYTHING, ESTIMATORS[name]())
    theirs = loaded(tmp_path / "form", ours)
    _, columns = frame.columns(table())
    within = 1e-6 if name == "vectors" else 1e-12
    assert_same(ours, theirs, columns, within=within)
    one = {name: values[:1] for name, values in columns.items()}
    assert_same(ours, theirs, one, within=within)
