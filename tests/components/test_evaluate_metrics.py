"""The metrics, with scikit-learn as their judge on random answers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from components.evaluate import classes, quantities
from components.evaluate import curve as curves
from components.evaluate.classes import Answers

BINARY, MANY = (False, True), ("a", "b", "c", "d")


def answers(
    seed: int, rows: int, labels: tuple[Any, ...], positive: int | None = None, *, ties: bool = False
) -> Answers:
    random = np.random.default_rng(seed)
    truth = random.integers(0, len(labels), rows)
    raw = random.dirichlet(np.ones(len(labels)), rows) + 0.6 * np.eye(len(labels))[truth] * random.random((rows, 1))
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    if ties:
        probabilities = np.round(probabilities, 1) + 1e-3
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Answers(labels, truth, classes.decide(probabilities, positive, 0.5), probabilities, positive)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.booleans())
def test_two_classes(seed: int, rows: int, ties: bool) -> None:
    given_ = answers(seed, rows, BINARY, 1, ties=ties)
    found, truth, scores = classes.measure(given_), given_.truth, given_.probabilities[:, 1]
    expected = {
        "accuracy": judge.accuracy_score(truth, given_.predicted),
        "precision": judge.precision_score(truth, given_.predicted, zero_division=0),
        "recall": judge.recall_score(truth, given_.predicted, zero_division=0),
        "f1": judge.f1_score(truth, given_.predicted, zero_division=0),
        **weighted(given_),
        "log_loss": judge.log_loss(truth, given_.probabilities, labels=[0, 1]),
    }
    if len(set(truth)) == 2:
        expected["auc"] = judge.roc_auc_score(truth, scores)
        expected["average_precision"] = judge.average_precision_score(truth, scores)
    else:
        assert np.isnan(found["auc"])
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.booleans())
def test_many_classes(seed: int, rows: int, ties: bool) -> None:
    given_ = answers(seed, rows, MANY, ties=ties)
    found, truth = classes.measure(given_), given_.truth
    expected = {
        "accuracy": judge.accuracy_score(truth, given_.predicted),
        "precision": judge.precision_score(truth, given_.predicted, average="macro", zero_division=0),
        "recall": judge.recall_score(truth, given_.predicted, average="macro", zero_division=0),
        "f1": judge.f1_score(truth, given_.predicted, average="macro", zero_division=0),
        **weighted(given_),
        "log_loss": judge.log_loss(truth, given_.probabilities, labels=range(4)),
    }
    if len(set(truth)) == 4:
        expected["auc"] = judge.roc_auc_score(truth, given_.probabilities, multi_class="ovr")
        expected["average_precision"] = judge.average_precision_score(np.eye(4)[truth], given_.probabilities)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    np.testing.assert_array_equal(
        classes.confusion(given_), judge.confusion_matrix(truth, given_.predicted, labels=range(4))
    )


def weighted(given_: Answers) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class that is predicted and not there is worth a warning to the judge.
        balanced = judge.balanced_accuracy_score(given_.truth, given_.predicted)
    return {
        "balanced_accuracy": balanced,
        "weighted_precision": judge.precision_score(
            given_.truth, given_.predicted, average="weighted", zero_division=0
        ),
        "weighted_recall": judge.recall_score(given_.truth, given_.predicted, average="weighted", zero_division=0),
        "weighted_f1": judge.f1_score(given_.truth, given_.predicted, average="weighted", zero_division=0),
    }


@pytest.mark.parametrize("ties", [False, True])
def test_the_curve_is_scikit_learn_s(ties: bool) -> None:
    given_ = answers(5, 300, BINARY, 1, ties=ties)
    found = classes.whole_curve(given_)
    fall, recall, thresholds = judge.roc_curve(given_.truth, given_.probabilities[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, fall)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.thresholds[1:], thresholds[1:])
    assert np.isfinite(found.thresholds).all()


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    whole = classes.whole_curve(answers(1, 5000, BINARY, 1))
    few = curves.thinned(whole)
    assert len(few.thresholds) <= 202
    assert (few.recall[0], few.recall[-1], few.false_positive_rate[-1]) == (0, 1, 1)
    assert curves.area(few) == pytest.approx(curves.area(whole), abs=2e-3)


def test_all_classes_together_make_one_curve() -> None:
    given_ = answers(2, 200, MANY)
    found = curves.area(classes.whole_curve(given_))
    assert found == pytest.approx(judge.roc_auc_score(np.eye(4)[given_.truth], given_.probabilities, average="micro"))


def test_a_label_the_model_does_not_know_is_always_wrong() -> None:
    known = answers(3, 50, ("a", "b", "c"))
    given_ = Answers(("a", "b", "c", "new"), np.append(known.truth, 3), np.append(known.predicted, 0), np.vstack([known.probabilities, [1, 0, 0]]))  # fmt: skip # noqa: E501
    found = classes.measure(given_)
    assert found["f1"] == pytest.approx(
        judge.f1_score(given_.truth, given_.predicted, average="macro", zero_division=0)
    )
    assert found["accuracy"] < classes.measure(known)["accuracy"]
    assert found["log_loss"] > classes.measure(known)["log_loss"]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("positive", [0, 1])
def test_the_threshold_is_inclusive(threshold: float, positive: int) -> None:
    probabilities = np.array([[1 - p, p] for p in (0.0, 0.1, 0.3, 0.7, 0.9, 1.0)])
    found = classes.decide(probabilities, positive, threshold) == positive
    np.testing.assert_array_equal(found, probabilities[:, positive] >= threshold)


def test_one_answer_that_is_no_number_leaves_no_metric() -> None:
    given_ = answers(4, 20, BINARY, 1)
    given_.probabilities[7, 1] = np.nan
    assert given_.broken
    assert all(np.isnan(value) for value in classes.measure(given_).values())
    assert all(np.isnan(value) for value in classes.measure(given_.rows(np.arange(0))).values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([1e-3, 1.0, 1e6]))
def test_quantities(seed: int, rows: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(3, 1, rows) * scale
    predicted = truth + random.normal(0, 1, rows) * scale
    found = quantities.regression(truth, predicted)
    expected = {
        "mae": judge.mean_absolute_error(truth, predicted),
        "mse": judge.mean_squared_error(truth, predicted),
        "rmse": judge.root_mean_squared_error(truth, predicted),
        "r2": judge.r2_score(truth, predicted),
        "mape": judge.mean_absolute_percentage_error(truth, predicted),
        "median_absolute_error": judge.median_absolute_error(truth, predicted),
        "max_error": judge.max_error(truth, predicted),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_quantities_at_the_edge() -> None:
    same = np.array([2.0, 2.0])
    assert quantities.regression(same, same)["r2"] == judge.r2_score(same, same) == 1.0
    assert quantities.regression(same, same + 1)["r2"] == judge.r2_score(same, same + 1) == 0.0
    assert np.isnan(quantities.regression(np.array([0.0, 1.0]), np.array([1.0, 1.0]))["mape"])
    assert np.isnan(quantities.regression(same[:1], same[:1])["r2"])
    for broken in (np.array([np.nan, 1.0]), np.array([np.inf, 1.0])):
        assert all(np.isnan(value) for value in quantities.regression(same, broken).values())
