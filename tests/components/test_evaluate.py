"""Evaluation: candidate and champion on the same rows, slices, files, and what is refused."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kfp import dsl
from sklearn import metrics as judge

from components.evaluate import document, report
from components.evaluate.evaluate import Champion, Request, evaluate
from components.tables import dataset
from components.train.train import Request as TrainRequest
from components.train.train import train
from orchestrator import program, registry
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder, frame
from orchestrator.model.folder import Model

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "components" / "evaluate"
PENGUINS = dataset.read(ROOT / "pipelines" / "penguins" / "data" / "penguins.csv").to_pandas()
TRAIN, TEST = PENGUINS[PENGUINS.id % 3 > 0], PENGUINS[PENGUINS.id % 3 == 0].reset_index(drop=True)


def trained(algorithm: str, target: str | None, features: list[str], table: pd.DataFrame = TRAIN) -> Model:
    made = train(table, TrainRequest(algorithm, target, features))
    return Model(made.manifest, made.transform, made.estimator, Path())


@pytest.fixture(scope="module")
def good() -> Model:
    return trained("logistic_regression", "species", ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"])


@pytest.fixture(scope="module")
def poor() -> Model:
    return trained("logistic_regression", "species", ["year", "island"])


def test_species(good: Model) -> None:
    found = evaluate(good, TEST, Request(slices=["island", ["island", "sex"]]))
    predicted = good.predict(frame.take(TEST, good.manifest.signature.inputs)).values
    assert found.rows == len(TEST)
    assert found.f1 == pytest.approx(judge.f1_score(TEST.species, predicted, average="macro"))
    assert found.f1 > 0.95
    where = TEST.island == "Dream"
    dream = next(each for each in found.slices if each.where == {"island": "Dream"})
    assert dream.rows == where.sum()
    assert dream.metrics["f1"] == pytest.approx(judge.f1_score(TEST.species[where], predicted[where], average="macro"))
    crossed = [each for each in found.slices if len(each.where) == 2]
    assert sum(each.rows for each in crossed) == len(TEST)
    assert {"island": "Dream", "sex": None} in [each.where for each in crossed]


def test_rows_without_a_target_are_left_out(good: Model) -> None:
    table = TEST.copy()
    table.loc[:9, "species"] = None
    found = evaluate(good, table, Request())
    assert (found.rows, found.dropped) == (len(TEST) - 10, 10)
    assert found.measured.metrics == evaluate(good, TEST.iloc[10:], Request()).measured.metrics


@pytest.mark.parametrize(("positive", "expected"), [("", "male"), ("female", "female")])
def test_the_positive_class(positive: str, expected: str) -> None:
    model = trained("logistic_regression", "sex", ["body_mass_g", "bill_depth_mm", "species"])
    rows = TEST.dropna(subset="sex")
    found = evaluate(model, rows, Request(positive=positive, threshold=0.7))
    probability = model.predict(frame.take(rows, model.manifest.signature.inputs)).probabilities
    assert probability is not None
    chosen = probability[:, model.manifest.classes.index(expected)] >= 0.7  # type: ignore[union-attr]
    assert found.positive == expected
    assert found.f1 == pytest.approx(judge.f1_score(rows.sex == expected, chosen))


def test_a_champion_is_measured_on_the_same_rows(good: Model, poor: Model) -> None:
    found = evaluate(good, TEST, Request(), Champion("penguins", "3", poor))
    assert found.baseline is not None
    assert found.baseline.measured.metrics == evaluate(poor, TEST, Request()).measured.metrics
    written = json.loads(document.metrics(found))
    assert (written["baseline"]["name"], written["baseline"]["version"]) == ("penguins", "3")
    assert written["baseline"]["metrics"]["f1"] < written["metrics"]["f1"]


def test_a_champion_that_cannot_be_measured_is_an_error_and_not_a_missing_baseline(good: Model) -> None:
    other = trained("linear_regression", "body_mass_g", ["year"])
    with pytest.raises(
        OrchestratorError, match="the baseline penguins/3 solves regression, the candidate classification"
    ):
        evaluate(good, TEST, Request(), Champion("penguins", "3", other))
    lost = trained("logistic_regression", "species", ["mass"], TRAIN.rename(columns={"body_mass_g": "mass"}))
    with pytest.raises(
        OrchestratorError, match="the baseline penguins/3 cannot be measured here: the data has no column 'mass'"
    ):
        evaluate(good, TEST, Request(), Champion("penguins", "3", lost))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(target="speces"), "target: the data has no column 'speces'\n  hint: did you mean 'species'?"),
        (Request(target="island"), "no row has a class that the model knows: Adelie, Chinstrap, Gentoo"),
        (Request(positive="Adelie"), "only two classes have a positive one; 3 classes here"),
        (Request(threshold=1.5), "threshold: 1.5 is not between 0 and 1"),
        (Request(slices=["iland"]), "slices[0]: the data has no column 'iland'\n  hint: did you mean 'island'?"),
        (Request(slices=[3]), "slices[0]: 3 is neither the name of a column nor a list of them"),
        (Request(slices=["island", "body_mass_g"]), "body_mass_g would make"),
    ],
)
def test_what_cannot_be_measured_says_why(good: Model, request_: Request, message: str) -> None:
    with pytest.raises(OrchestratorError) as raised:
        evaluate(good, TEST, request_)
    assert message in str(raised.value)


def test_data_without_rows_or_columns(good: Model) -> None:
    with pytest.raises(OrchestratorError, match="there is no row to measure on"):
        evaluate(good, TEST.iloc[:0], Request())
    with pytest.raises(OrchestratorError, match="the data has no column 'bill_length_mm'"):
        evaluate(good, TEST.drop(columns="bill_length_mm"), Request())


def test_quantities_and_clusters() -> None:
    model = trained("linear_regression", "body_mass_g", ["flipper_length_mm", "sex"])
    found = evaluate(model, TEST, Request(slices=["sex"]))
    rows = TEST.dropna(subset="body_mass_g")
    predicted = model.predict(frame.take(rows, model.manifest.signature.inputs)).values
    assert found.measured.metrics["rmse"] == pytest.approx(judge.root_mean_squared_error(rows.body_mass_g, predicted))
    assert np.isnan(found.f1)
    assert found.score == pytest.approx(judge.r2_score(rows.body_mass_g, predicted))
    assert document.classification(found) == {}
    groups = trained("k_means", None, ["flipper_length_mm", "bill_length_mm"])
    clustered = evaluate(groups, TEST, Request())
    assert 0 < clustered.measured.metrics["silhouette"] == clustered.score < 1
    assert clustered.rows == len(TEST)


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_files_are_what_others_read(good: Model) -> None:
    found = evaluate(good, TEST, Request(slices=["island"]))
    written = strict(document.metrics(found))
    assert set(written) == {"version", "problem", "rows", "metrics", "baseline", "slices", "notes"}
    assert (written["version"], written["problem"], written["baseline"]) == (1, "classification", None)
    # On one island there is one species only: an area under its curve is not defined.
    assert "NaN" in {each["metrics"]["auc"] for each in written["slices"]}
    assert all(np.isfinite(value) for value in document.metadata(found).values())


def test_the_pictures_of_kfp_are_written_as_kfp_writes_them(good: Model) -> None:
    found = evaluate(good, TEST, Request())
    drawn = document.classification(found)
    strict(json.dumps(drawn))
    predicted = good.predict(frame.take(TEST, good.manifest.signature.inputs)).values
    matrix = judge.confusion_matrix(TEST.species, predicted)
    theirs = dsl.ClassificationMetrics()
    theirs.log_confusion_matrix(["Adelie", "Chinstrap", "Gentoo"], matrix.tolist())
    points = drawn["confidenceMetrics"]
    theirs.log_roc_curve(
        [each["falsePositiveRate"] for each in points],
        [each["recall"] for each in points],
        [each["confidenceThreshold"] for each in points],
    )
    assert drawn == theirs.metadata
    assert points[0]["recall"] == 0
    assert points[-1]["recall"] == 1


class Page(HTMLParser):
    """What a page would run or load, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "onload", "onerror")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_both_models_and_loads_nothing(good: Model, poor: Model) -> None:
    page = Page(report.page(evaluate(good, TEST, Request(slices=["island"]), Champion("penguins", "3", poor))))
    assert page.loads == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 5
    for words in ("penguins version 3", "Confusion matrix of the champion", "island = Dream", "Precision and recall"):
        assert words in page.text


def test_the_page_escapes_what_the_data_says() -> None:
    evil = "<script>alert(1)</script>"
    table = pd.DataFrame(
        {"x": [1.0, 2, 3, 4] * 5, "w": [evil, "b", "b", "b"] * 5, evil: [evil, "a&b", "\"'", "a&b"] * 5}
    )
    model = trained("logistic_regression", evil, ["x", "w"], table)
    text = report.page(evaluate(model, table, Request(slices=["w"])))
    assert "<script" not in text
    assert "script" not in Page(text).tags
    assert f"w = {evil}" in Page(text).text


@pytest.mark.parametrize("classes", [2, 17, 60])
def test_a_page_for_few_and_for_many_classes(classes: int) -> None:
    random = np.random.default_rng(0)
    truth = np.tile(np.arange(classes), 6)
    table = pd.DataFrame({"x": truth + random.normal(0, 0.1, len(truth)), "y": [f"class number {k}" for k in truth]})
    text = report.page(evaluate(trained("random_forest", "y", ["x"], table), table, Request()))
    assert ("are too many for a picture" in text) == (classes == 60)


def test_a_page_without_numbers() -> None:
    table = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 1.0]})
    model = trained("linear_regression", "y", ["x"], pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.5, 1.5, 2.5]}))
    model.estimator.coef_[:] = np.nan
    found = evaluate(model, table, Request())
    assert "not a number" in report.page(found)
    assert found.notes == ("some predictions are not numbers, so no metric is",)
    assert strict(document.metrics(found))["metrics"]["rmse"] == "NaN"


@pytest.fixture(scope="module")
def files(good: Model, poor: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("files")
    for name, model in (("good", good), ("poor", poor)):
        folder.save(place / name, model.manifest, model.transform, model.estimator)
    dataset.write(pa.Table.from_pandas(TEST, preserve_index=False), place / "test")
    return place


def test_the_program_without_and_with_a_champion(files: Path, tmp_path: Path) -> None:
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "ORC_STATE": str(tmp_path / "state")}
    arguments = {
        "model": files / "good",
        "data": files / "test",
        "target": "species",
        "baseline": "champion",
        "name": "penguins",
    }
    first = program.invoke(COMPONENT, arguments, tmp_path / "first", environment=environment)
    assert (first.code, first.stderr) == (0, "")
    assert "there is no penguins@champion yet" in first.stdout
    written = strict(first.artifacts["metrics"].read_text())
    assert written["baseline"] is None
    assert written["notes"] == ["there is no penguins@champion yet, so there is no baseline to compare with"]
    assert first.parameters["f1"] == written["metrics"]["f1"] == first.metadata["metrics"]["f1"]
    assert first.parameters["score"] == first.parameters["f1"], "the number to choose a classifier by"
    assert strict(first.artifacts["classification"].read_text()) == first.metadata["classification"]
    assert first.artifacts["report"].read_text().startswith("<!doctype html>")

    store = registry.open(environment["MLFLOW_TRACKING_URI"], state=tmp_path / "state")
    store.create("penguins", model=files / "poor", digest=folder.digest(files / "poor"), metrics={}, parameters={}, tags={}, approval="approved", reason="", run="", alias="champion")  # fmt: skip # noqa: E501
    second = program.invoke(
        COMPONENT, {**arguments, "baseline": "penguins@champion"}, tmp_path / "second", environment=environment
    )
    assert (second.code, second.stderr) == (0, "")
    written = strict(second.artifacts["metrics"].read_text())
    assert (written["baseline"]["name"], written["baseline"]["version"]) == ("penguins", "1")
    assert written["baseline"]["metrics"]["f1"] < written["metrics"]["f1"]

    absent = program.invoke(
        COMPONENT, {**arguments, "baseline": "models:/penguins/7"}, tmp_path / "third", environment=environment
    )
    assert absent.code == 4
    assert "penguins/7" in absent.stderr.splitlines()[0]


def test_an_alias_of_no_model(files: Path, tmp_path: Path) -> None:
    arguments = {"model": files / "good", "data": files / "test", "baseline": "champion"}
    done = program.invoke(COMPONENT, arguments, tmp_path / "out")
    assert done.code == 2
    assert done.stderr.splitlines() == [
        "error: baseline: 'champion' is an alias, but of which model?",
        "  hint: write name@champion, or give the input `name`",
    ]
