"""The ONNX form of a model: every operation of a transform and every estimator answers as the model does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from threadpoolctl import threadpool_limits

from orchestrator.errors import OrchestratorError
from orchestrator.model import fit, folder, frame, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.onnx import convert, form, placing
from orchestrator.model.onnx.gate import Gate
from orchestrator.model.signature import Column, InputError, Signature

SEED = 20261121


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Boosting's threads wait actively for each other, which on a busy machine is all they do."""
    with threadpool_limits(1):
        yield


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
        largest = np.abs(ours.values).max()
        np.testing.assert_allclose(theirs.values, ours.values, atol=within * largest, rtol=0)


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


NUMBERS = [{"drop": {"columns": ["town", "when"]}}, {"impute": {"columns": "numeric", "strategy": "mean"}}]
PARTS = ["year", "quarter", "month", "day", "dayofyear", "weekday", "hour", "minute", "second"]
STEPS: dict[str, list[Any]] = {
    "parts of times": [
        {"drop": {"columns": ["town"]}},
        {"datetime": {"columns": "when", "parts": PARTS}},
        {"impute": {"columns": "numeric", "strategy": "constant", "value": -1}},
    ],
    "a time as seconds": [{"drop": {"columns": ["town"]}}, {"cast": {"columns": "when", "type": "number"}}],
    "indicators": [
        {"indicator": {"columns": ["town", "when", "weight"]}},
        *EVERYTHING[:3],
        {"encode": {"columns": "town", "method": "ordinal"}},
    ],
    "robust scales, clipped": [
        *NUMBERS,
        {"scale": {"columns": ["size", "weight"], "method": "robust"}},
        {"clip": {"columns": ["weight"], "quantiles": [0.05, 0.95]}},
        {"clip": {"columns": ["size"], "min": -1}},
    ],
    "clipped with gaps": [
        {"drop": {"columns": ["town", "when"]}},
        {"clip": {"columns": ["weight", "size"], "max": 50}},
    ],
    "rare categories together": [
        {"drop": {"columns": ["when"]}},
        {"encode": {"columns": "string", "max_categories": 3, "drop_last": True}},
    ],
    "numbers as categories": [
        {"drop": {"columns": ["when", "town", "weight"]}},
        {"encode": {"columns": ["rooms", "sold"], "unknown": "keep"}},
    ],
    "gaps as categories": [
        {"drop": {"columns": ["when", "size"]}},
        {"cast": {"columns": "weight", "type": "integer"}},
        {"clip": {"columns": "weight", "min": 0, "max": 3}},
        {"encode": {"columns": ["weight", "town"]}},
    ],
    "ordinals": [
        {"drop": {"columns": ["when"]}},
        {"encode": {"columns": ["town", "rooms"], "method": "ordinal", "unknown": "keep"}},
    ],
    "frequencies": [{"drop": {"columns": ["when"]}}, {"encode": {"columns": ["town", "rooms"], "method": "frequency"}}],
    "casts of numbers": [
        {"drop": {"columns": ["when", "town"]}},
        {"cast": {"columns": "size", "type": "integer"}},
        {"cast": {"columns": "weight", "type": "boolean"}},
    ],
    "text filled in": [
        {"drop": {"columns": ["when"]}},
        {"impute": {"columns": "town", "strategy": "most_frequent"}},
        {"encode": {"columns": "town"}},
    ],
    "numbers read as text": [
        {"drop": {"columns": ["when", "town"]}},
        {"cast": {"columns": ["rooms", "sold"], "type": "string"}},
        {"encode": {"columns": ["rooms", "sold"]}},
    ],
    "nothing": [{"drop": {"columns": ["when", "town"]}}],
}


@pytest.mark.parametrize("name", STEPS)
def test_every_operation_does_what_it_does_in_numpy(tmp_path: Path, name: str) -> None:
    """Seen through trees, which take anything: their thresholds are what a feature must not be moved across."""
    ours = model(tmp_path / "model", STEPS[name], RandomForestRegressor(10, random_state=0))
    theirs = loaded(tmp_path / "form", ours)
    fresh = table(900).tail(500)
    assert_same(ours, theirs, frame.take(fresh, ours.transform.inputs))
    strange = fresh.assign(town="Nowhere", rooms=77).head(3)
    assert_same(ours, theirs, frame.take(strange, ours.transform.inputs))
    # What the trees do not look at is compared too: the matrix itself.
    np.testing.assert_allclose(*_matrices(ours, frame.take(fresh, ours.transform.inputs)), rtol=1e-15)


def _matrices(ours: folder.Model, columns: Any) -> tuple[Any, Any]:
    from orchestrator.model.onnx import features, runner
    from orchestrator.model.onnx.graph import Graph

    graph = Graph()
    split = placing.split(ours.transform)
    made = features.build(graph, split, ours.transform.features)
    graph.output(made.matrix, "matrix", "float64", len(ours.transform.features))
    session = form.session(graph.model(producer="a test").SerializeToString())
    state = dict(columns)
    for one in split.before:
        state.update(one.apply(state.pop(one.column)))
    (matrix,) = session.run(["matrix"], {name: runner.SENT[kind](state[name]) for name, kind in split.tensors})
    return matrix, transform.apply(ours.transform, columns)[1]


def test_only_what_onnx_has_no_words_for_is_outside() -> None:
    outside = {}
    for name, steps in STEPS.items():
        inputs, columns = frame.columns(table())
        outside[name] = placing.split(fit.fit(steps, columns, inputs)).before
    assert {name for name, before in outside.items() if before} == {"numbers read as text"}
    assert [one.column for one in outside["numbers read as text"]] == ["rooms", "sold"]


def test_a_cast_to_text_after_another_operation_is_refused() -> None:
    inputs, columns = frame.columns(table()[["rooms"]])
    steps = [
        {"clip": {"columns": "rooms", "max": 4}},
        {"cast": {"columns": "rooms", "type": "string"}},
        {"encode": {"columns": "rooms"}},
    ]
    with pytest.raises(OrchestratorError, match="casts column 'rooms' after `clip`, which ONNX cannot express"):
        placing.split(fit.fit(steps, columns, inputs))


def test_what_the_model_refuses_its_form_refuses_in_the_same_words(tmp_path: Path) -> None:
    strict = [{"drop": {"columns": ["when", "weight"]}}, {"encode": {"columns": "town", "unknown": "error"}}]
    ours = model(tmp_path / "strict", strict, LinearRegression())
    theirs = loaded(tmp_path / "strict form", ours)
    columns = frame.take(table().head(5).assign(town="Nowhere"), ours.transform.inputs)
    said = []
    for each in (ours, theirs):
        with pytest.raises(InputError) as refused:
            each.predict(columns)
        said.append((refused.value.message, refused.value.hint))
    assert said[0] == said[1]
    assert "column 'town' has 'Nowhere', which the training data did not have" in said[0][0]


def test_a_gap_where_the_model_takes_none_is_refused(tmp_path: Path) -> None:
    data = table().dropna()
    ours = model(
        tmp_path / "model",
        [{"drop": {"columns": ["when"]}}, {"encode": {"columns": "town", "method": "ordinal"}}],
        LogisticRegression(max_iter=2000),
        data,
    )
    theirs = loaded(tmp_path / "form", ours)
    columns = frame.take(data.head(4), ours.transform.inputs)
    assert_same(ours, theirs, columns)
    columns["town"] = np.array(["Lugo", None, "Lugo", None], dtype=object)
    with pytest.raises(InputError, match="the model cannot take this data"):
        ours.predict(columns)
    with pytest.raises(InputError, match="the model cannot take this data: 'town' has no value in row 1"):
        theirs.predict(columns)


@pytest.mark.parametrize("name", ["forest", "forest of numbers", "boosting"])
def test_trees_send_missing_values_where_they_were_trained_to(tmp_path: Path, name: str) -> None:
    data = table(600)[["size", "weight", "rooms"]]
    data["size"] = data["size"].mask(data["rooms"] > 5)
    # One column is nothing but there or not: a split between the two has an infinite threshold.
    data["weight"] = np.where(data["weight"] > 80, 1.0, np.nan)
    ours = model(tmp_path / "model", [{"drop": {"columns": ["rooms"]}}], ESTIMATORS[name](), data)
    theirs = loaded(tmp_path / "form", ours)
    columns = frame.take(data, ours.transform.inputs)
    assert_same(ours, theirs, columns)
    assert_same(ours, theirs, {**columns, "size": np.full(600, np.nan)})


def test_a_value_on_a_threshold_stays_on_its_side(tmp_path: Path) -> None:
    ours = model(tmp_path / "model", STEPS["nothing"], ESTIMATORS["forest"]())
    names = [column.name for column in ours.transform.inputs]
    thresholds = np.unique([t for each in ours.estimator.estimators_ for t in each.tree_.threshold])
    around = np.concatenate([thresholds, np.nextafter(thresholds, 9e9), np.nextafter(thresholds, -9e9)])
    columns = {name: np.resize(around, (len(around),)) for name in names}
    assert len(around) > 300
    for precision in ("float64", "float32"):
        theirs = loaded(tmp_path / precision, ours, precision)
        assert_same(ours, theirs, columns, within=1e-12 if precision == "float64" else 1e-6)


def test_no_row_gives_no_prediction(tmp_path: Path) -> None:
    ours = model(tmp_path / "model", EVERYTHING, ESTIMATORS["logistic"]())
    nothing = frame.take(table().head(0), ours.transform.inputs)
    predicted = loaded(tmp_path / "form", ours).predict(nothing)
    assert len(predicted.values) == 0
    assert predicted.probabilities is not None
    assert predicted.probabilities.shape == (0, 3)


def test_an_estimator_that_nobody_can_write_is_named(tmp_path: Path) -> None:
    from sklearn.semi_supervised import LabelSpreading

    ours = model(tmp_path / "model", STEPS["text filled in"], RandomForestRegressor(2, random_state=0))
    strange = folder.Model(ours.manifest, ours.transform, LabelSpreading(), ours.path)
    with pytest.raises(OrchestratorError, match="skl2onnx cannot write LabelSpreading as ONNX"):
        convert.convert(strange)


def test_the_same_model_gives_the_same_graph(tmp_path: Path) -> None:
    ours = model(tmp_path / "model", EVERYTHING, ESTIMATORS["boosting"]())
    assert convert.convert(ours).content == convert.convert(ours).content
