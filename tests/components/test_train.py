"""Training: what each algorithm makes, what is refused, and the folder that comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from components.tables import dataset
from components.train.train import Request, Trained, train
from orchestrator import program
from orchestrator.errors import OrchestratorError
from orchestrator.model import fit, folder, frame
from orchestrator.model.folder import Model

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "components" / "train"
PENGUINS = ROOT / "pipelines" / "penguins" / "data" / "penguins.csv"

IRIS = load_iris(as_frame=True).frame
DIABETES = load_diabetes(as_frame=True).frame


def model(trained: Trained) -> Model:
    return Model(trained.manifest, trained.transform, trained.estimator, Path())


def predicted(trained: Trained, table: pd.DataFrame) -> folder.Prediction:
    return model(trained).predict(frame.take(table, trained.manifest.signature.inputs))


def test_logistic_regression_is_scikit_learn_s() -> None:
    trained = train(IRIS, Request("logistic_regression", "target"))
    features = IRIS.drop(columns="target").to_numpy()
    scaled = StandardScaler().fit_transform(features)
    judge = LogisticRegression(max_iter=1000, random_state=0).fit(scaled, IRIS["target"])
    answer = predicted(trained, IRIS)
    assert trained.manifest.problem == "classification"
    assert trained.manifest.classes == (0, 1, 2)
    assert answer.probabilities is not None
    np.testing.assert_allclose(answer.probabilities, judge.predict_proba(scaled), rtol=1e-6)
    np.testing.assert_array_equal(answer.values, judge.predict(scaled))


def test_linear_regression_is_scikit_learn_s() -> None:
    trained = train(DIABETES, Request("linear_regression", "target"))
    features = DIABETES.drop(columns="target").to_numpy()
    judge = LinearRegression().fit(features, DIABETES["target"])
    assert trained.manifest.problem == "regression"
    np.testing.assert_allclose(predicted(trained, DIABETES).values, judge.predict(features))


def test_forest_and_boosting_are_scikit_learn_s() -> None:
    forest = train(DIABETES, Request("random_forest", "target", hyperparameters={"n_estimators": 10}, seed=3))
    features = DIABETES.drop(columns="target").to_numpy()
    judge: Any = RandomForestRegressor(n_estimators=10, random_state=3).fit(features, DIABETES["target"])
    np.testing.assert_allclose(predicted(forest, DIABETES).values, judge.predict(features))
    assert forest.estimator.n_jobs is None
    boosted = train(IRIS, Request("gradient_boosting", "target", hyperparameters={"max_iter": 5}, seed=3))
    features = IRIS.drop(columns="target").to_numpy()
    judge = HistGradientBoostingClassifier(max_iter=5, random_state=3).fit(features, IRIS["target"])
    np.testing.assert_allclose(predicted(boosted, IRIS).probabilities, judge.predict_proba(features))  # type: ignore[arg-type]


def test_k_means_needs_no_target() -> None:
    table = IRIS.drop(columns="target")
    trained = train(table, Request("k_means", hyperparameters={"n_clusters": 3}))
    assert (trained.manifest.problem, trained.manifest.target) == ("clustering", None)
    assert set(predicted(trained, table).values.tolist()) == {0, 1, 2}


def test_the_same_seed_gives_the_same_model() -> None:
    answers = [
        predicted(train(IRIS, Request("random_forest", "target", hyperparameters={"n_estimators": 5}, seed=seed)), IRIS)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(answers[0].probabilities, answers[1].probabilities)  # type: ignore[arg-type]
    assert (answers[0].probabilities != answers[2].probabilities).any()  # type: ignore[operator, union-attr]


X = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("target", "problem", "classes"),
    [
        (["b", "a", "b", "a"], "classification", ("a", "b")),
        ([True, False, True, True], "classification", (False, True)),
        ([True, None, True, False], "classification", (False, True)),
        ([3, 1, 3, 2], "classification", (1, 2, 3)),
        ([3.0, 1.0, None, 2.0], "classification", (1, 2, 3)),
        ([0.5, 1.0, 2.0, 3.0], "regression", None),
    ],
)
def test_the_target_tells_the_problem(target: list[Any], problem: str, classes: Any) -> None:
    trained = train(pd.DataFrame({"x": X, "y": target}), Request("gradient_boosting", "y"))
    assert (trained.manifest.problem, trained.manifest.classes) == (problem, classes)
    assert trained.manifest.training.dropped == sum(value is None for value in target)


def test_many_different_integers_are_a_quantity() -> None:
    table = pd.DataFrame({"x": np.arange(50.0), "y": np.arange(50)})
    assert train(table, Request("gradient_boosting", "y")).manifest.problem == "regression"
    few = table.assign(y=table.y % 3)
    assert train(few, Request("gradient_boosting", "y", problem="regression")).manifest.classes is None


def test_class_weights_go_by_the_names_of_classes() -> None:
    table = pd.DataFrame({"x": X * 5, "y": ["a", "a", "a", "b"] * 5})
    even = train(table, Request("logistic_regression", "y"))
    heavy = train(table, Request("logistic_regression", "y", hyperparameters={"class_weight": {"b": 100, "a": 1}}))
    assert predicted(heavy, table).probabilities.mean(axis=0)[1] > predicted(even, table).probabilities.mean(axis=0)[1]  # type: ignore[union-attr]


TABLE = pd.DataFrame({"x": X, "w": ["p", "q", "p", None], "y": ["a", "b", "a", "b"], "z": [1.5, 2.5, 3.5, np.nan]})


def _leaking() -> Any:
    inputs, columns = frame.columns(TABLE)
    return fit.fit(None, columns, inputs)


def _bare() -> Any:
    inputs, columns = frame.columns(TABLE)
    return fit.fit([{"drop": {"columns": ["w"]}}], columns, inputs, target="y")


def _with(algorithm: str, **hyperparameters: Any) -> Request:
    return Request(algorithm, "y", hyperparameters=hyperparameters)


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        (
            Request("gradient_bosting", "y"),
            "there is no algorithm 'gradient_bosting'",
            "did you mean 'gradient_boosting'",
        ),
        (Request("k_means", problem="clustring"), "there is no problem 'clustring'", "did you mean 'clustering'"),
        (
            Request("linear_regression", "z", problem="classification"),
            "solves regression, not class",
            "for classification",
        ),
        (Request("logistic_regression"), "needs a target", ""),
        (Request("logistic_regression", "yy"), "target: the data has no column 'yy'", "did you mean 'y'"),
        (Request("logistic_regression", "z"), "the column 'z' has fractions, so it names no classes", "use regression"),
        (Request("linear_regression", "y"), "the column 'y' is string, and regression", "use classification"),
        (
            Request("random_forest", "y", features=["ww", "y"]),
            "features: the data has no column 'ww'",
            "did you mean 'w'",
        ),
        (Request("random_forest", "y", features=["ww", "y"]), "features: 'y' is the target", ""),
        (Request("random_forest", "y", features=[]), "the list is empty", "leave it out"),
        (Request("random_forest", "y", transform=_leaking()), "uses the target 'y' as a feature", "the same target"),
        (
            Request("random_forest", "y", features=["x"], transform=_bare()),
            "the transform decides already",
            "`drop` step",
        ),
        (
            Request("logistic_regression", "y", transform=_bare()),
            "no missing values, and 'z' has 1",
            "add an impute step",
        ),
        (_with("random_forest", n_estimator=5), "random_forest has no 'n_estimator'", "did you mean 'n_estimators'"),
        (_with("random_forest", random_state=5), "'random_state' is not set this way", "use the input `seed`"),
        (_with("random_forest", n_estimators=-5), "The 'n_estimators' parameter of RandomForestClassifier must be", ""),
        (_with("logistic_regression", class_weight={"aa": 1}), "the target has no class 'aa'", "did you mean 'a'"),
        (_with("keras", epoch=5, layers=[0]), "keras has no 'epoch'", "did you mean 'epochs'"),
        (_with("keras", epoch=5, layers=[0]), "hyperparameters.layers: 0 does not fit: input should be greater", ""),
    ],
)
def test_what_cannot_be_trained_says_why(request_: Request, message: str, hint: str) -> None:
    with pytest.raises(OrchestratorError) as raised:
        train(TABLE, request_)
    assert message in str(raised.value)
    assert hint in str(raised.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (["a"] * 4, "one class only, 'a'"),
        ([None] * 4, "has no value in any row"),
        (pd.to_datetime(["2013-01-01"] * 4), "is a timestamp"),
    ],
)
def test_a_target_that_says_nothing(target: Any, message: str) -> None:
    with pytest.raises(OrchestratorError, match=message):
        train(pd.DataFrame({"x": X, "y": target}), Request("random_forest", "y"))


def test_no_row() -> None:
    with pytest.raises(OrchestratorError, match="there is no row to train on"):
        train(TABLE.iloc[:0], Request("random_forest", "y"))


def test_warnings_of_scikit_learn_are_passed_on_in_one_line() -> None:
    trained = train(IRIS, Request("logistic_regression", "target", hyperparameters={"max_iter": 1}))
    assert len(trained.warnings) == 1
    assert "failed to converge" in trained.warnings[0]


def test_the_program_writes_a_model_that_answers(tmp_path: Path) -> None:
    penguins = dataset.read(PENGUINS).to_pandas()
    penguins.loc[3:5, "species"] = None
    import pyarrow as pa

    dataset.write(pa.Table.from_pandas(penguins, preserve_index=False), tmp_path / "train")
    arguments = {
        "data": tmp_path / "train",
        "target": "species",
        "features": ["bill_length_mm", "flipper_length_mm", "island", "sex"],
        "algorithm": "gradient_boosting",
        "hyperparameters": {"max_iter": 20},
        "seed": 7,
    }
    done = program.invoke(COMPONENT, arguments, tmp_path / "out")
    assert (done.code, done.stderr) == (0, "")
    assert "dropped 3 of 344 rows: no value in the target 'species'" in done.stdout
    loaded = folder.load(done.artifacts["model"])
    manifest = loaded.manifest
    assert (manifest.training.rows, manifest.training.dropped, manifest.training.seed) == (341, 3, 7)
    assert [column.name for column in manifest.signature.inputs] == [
        "island",
        "bill_length_mm",
        "flipper_length_mm",
        "sex",
    ]
    assert manifest.signature.inputs[0].categories == ("Biscoe", "Dream", "Torgersen")
    assert [(column.name, column.type) for column in manifest.signature.outputs] == [("species", "string")]
    assert len(manifest.example) == 3
    assert all(value is not None for record in manifest.example for value in record.values())
    answer = loaded.predict_records([*manifest.example, {"bill_length_mm": 50.0}])
    assert answer.values.tolist()[:3] == ["Adelie"] * 3
    assert done.metadata["model"]["algorithm"] == "gradient_boosting"
    # A whole row of the table may be sent; what the model does not use is not read.
    assert loaded.predict_records([{**manifest.example[0], "id": 1, "species": "?"}]).values[0] == "Adelie"


def test_the_program_says_what_is_wrong_and_writes_nothing(tmp_path: Path) -> None:
    arguments = {"data": PENGUINS, "target": "speces", "algorithm": "random_forest"}
    done = program.invoke(COMPONENT, arguments, tmp_path / "out")
    assert done.code == 2
    assert done.stderr.splitlines() == [
        "error: target: the data has no column 'speces'",
        "  hint: did you mean 'species'?",
    ]
    assert done.artifacts == {}
