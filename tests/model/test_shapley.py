"""Shapley values: their laws, judged by the definition itself and by a linear model whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from orchestrator.errors import OrchestratorError
from orchestrator.model import shapley
from orchestrator.model.signature import Array, Column, Columns, InputError, Signature


@dataclass(frozen=True)
class Formula:
    """A model that is a formula of its columns."""

    signature: Signature
    formula: Callable[[Columns], dict[str, Array]]
    example: Sequence[Mapping[str, Any]] = ()
    classes: tuple[str, ...] | None = None

    def outputs(self, columns: Columns) -> dict[str, Array]:
        return self.formula(columns)


def numbers(width: int, formula: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Formula:
    names = [f"x{number}" for number in range(width)]
    signature = Signature(tuple(Column(name, "number") for name in names))
    return Formula(signature, lambda columns: {"y": formula(np.stack([columns[name] for name in names], axis=1))})


def table(matrix: Any) -> dict[str, Array]:
    return {f"x{number}": column for number, column in enumerate(np.asarray(matrix, dtype=float).T)}


def bent(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every column plays with its neighbour, and one with all."""
    return (rows * np.roll(rows, 1, axis=1)).sum(axis=1) + np.sin(rows.sum(axis=1)) * rows[:, 0]


def by_definition(formula: Callable[[Any], Any], row: Any, base: Any) -> NDArray[np.float64]:
    """The mean, over all orders, of what a column adds when its turn comes."""
    orders = list(permutations(range(len(row))))
    values = np.zeros(len(row))
    for order in orders:
        mixed = np.array(base, dtype=float)
        for player in order:
            before = formula(mixed[None])[0]
            mixed[player] = row[player]
            values[player] += formula(mixed[None])[0] - before
    return values / len(orders)


def test_exact_values_are_those_of_the_definition() -> None:
    rows, base = np.random.default_rng(1).normal(size=(3, 5)), np.random.default_rng(2).normal(size=(2, 5))
    told = shapley.explain(numbers(5, bent), table(rows), table(base))
    assert told.exact
    assert told.outputs == ("y",)
    for row, values in zip(rows, told.values[:, :, 0], strict=True):
        expected = np.mean([by_definition(bent, row, each) for each in base], axis=0)
        np.testing.assert_allclose(values, expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**16), st.integers(0, 12))
def test_values_sum_to_the_difference_from_the_baseline(
    width: int, rows: int, base: int, seed: int, exact: int
) -> None:
    """Whether they are exact or sampled; and a value that is the baseline's own adds nothing."""
    draw = np.random.default_rng(seed)
    own, away = draw.integers(-2, 3, size=(rows, width)), draw.integers(-2, 3, size=(base, width))
    told = shapley.explain(numbers(width, bent), table(own), table(away), exact=exact, orders=4)
    np.testing.assert_allclose(told.values.sum(axis=1), told.predicted - told.expected, atol=1e-9)
    np.testing.assert_allclose(told.expected, bent(away.astype(float)).mean(), atol=1e-9)
    equal = (own[:, None, :] == away[None, :, :]).all(axis=1)
    assert (told.values[equal] == 0).all()


def test_a_linear_model_has_its_coefficients_times_the_differences_exact_or_sampled() -> None:
    weights = np.arange(1.0, 31.0)
    rows, base = np.random.default_rng(3).normal(size=(4, 30)), np.random.default_rng(4).normal(size=(1, 30))
    told = shapley.explain(numbers(30, lambda x: x @ weights), table(rows), table(base))
    assert not told.exact
    np.testing.assert_allclose(told.values[:, :, 0], (rows - base) * weights, atol=1e-9)
    # The mean of absolute local values is what a column counts for as a whole.
    expected = np.abs((rows - base) * weights).mean(axis=0)
    assert list(told.importance()["y"].values()) == pytest.approx(expected.tolist())
    assert told.importance("median")["y"]["x3"] == pytest.approx(np.median((rows - base)[:, 3] * 4))
    assert told.importance("mean_sq")["y"]["x3"] == pytest.approx(np.mean(((rows - base)[:, 3] * 4) ** 2))


def test_sampled_values_come_close_to_the_exact_ones_and_depend_on_the_seed_alone() -> None:
    rows, base = np.random.default_rng(5).normal(size=(4, 9)), np.zeros((1, 9))
    model = numbers(9, bent)
    exact = shapley.explain(model, table(rows), table(base))
    sampled = shapley.explain(model, table(rows), table(base), exact=4, orders=512, seed=7)
    assert not sampled.exact
    assert np.abs(sampled.values - exact.values).max() < 0.1 * np.abs(exact.values).max()
    again = shapley.explain(model, table(rows), table(base), exact=4, orders=512, seed=7)
    np.testing.assert_array_equal(again.values, sampled.values)
    other = shapley.explain(model, table(rows), table(base), exact=4, orders=512, seed=8)
    assert (other.values != sampled.values).any()


@pytest.mark.parametrize("exact", [0, 10])
def test_a_row_has_the_same_values_in_any_company(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, base = np.random.default_rng(6).integers(0, 3, size=(20, 6)), np.ones((2, 6))
    model = numbers(6, bent)
    told = shapley.explain(model, table(rows), table(base), exact=exact)
    alone = [shapley.explain(model, table(rows[[at]]), table(base), exact=exact).values[0] for at in range(20)]
    np.testing.assert_allclose(told.values, alone, atol=1e-12)
    monkeypatch.setattr(shapley, "CELLS", 40)
    np.testing.assert_allclose(shapley.explain(model, table(rows), table(base), exact=exact).values, alone, atol=1e-12)


def test_what_is_missing_or_text_or_a_moment_is_a_value_like_another() -> None:
    signature = Signature((Column("n", "number", True), Column("t", "string", True), Column("at", "timestamp", True)))

    def formula(columns: Columns) -> dict[str, Array]:
        known = np.where(np.isnan(columns["n"]), -1.0, columns["n"])
        lengths = np.array([5.0 if value is None else len(value) for value in columns["t"]])
        days = np.where(np.isnat(columns["at"]), 100.0, columns["at"].astype("datetime64[D]").astype(float))
        return {"y": known + 10 * lengths + days}

    def columns(n: list[Any], t: list[Any], at: list[Any]) -> dict[str, Array]:
        return {"n": np.array(n), "t": np.array(t, dtype=object), "at": np.array(at, dtype="datetime64[us]")}

    rows = columns([np.nan, 2.0], ["abc", None], ["1970-01-04", "NaT"])
    told = shapley.explain(Formula(signature, formula), rows, columns([np.nan], ["a"], ["1970-01-02"]))
    np.testing.assert_allclose(told.values[:, :, 0], [[0, 20, 2], [3, 40, 99]])


def test_a_class_has_values_of_its_own_and_a_label_without_probabilities_is_zero_or_one() -> None:
    signature = Signature((Column("x0", "number"), Column("x1", "number")))

    def scored(columns: Columns) -> dict[str, Array]:
        chance = 1 / (1 + np.exp(-columns["x0"] - columns["x1"]))
        labels = np.where(chance > 0.5, "yes", "no").astype(object)
        return {"label": labels, "probabilities": np.stack([1 - chance, chance], axis=1)}

    rows, base = table([[1.0, 2.0], [0.0, -1.0]]), table([[0.0, 0.0]])
    told = shapley.explain(Formula(signature, scored, classes=("no", "yes")), rows, base)
    assert told.outputs == ("no", "yes")
    np.testing.assert_allclose(told.values[:, :, 0], -told.values[:, :, 1])
    record = told.records()[1]
    assert record["expected_value"] == {"no": 0.5, "yes": 0.5}
    assert record["values"]["yes"]["x0"] == 0
    assert record["values"]["yes"]["x1"] == pytest.approx(record["prediction"]["yes"] - 0.5)
    assert shapley.explain(Formula(signature, scored), rows, base).outputs == ("0", "1")
    bare = shapley.explain(Formula(signature, lambda columns: {"label": scored(columns)["label"]}), rows, base)
    assert bare.outputs == ("no", "yes")
    np.testing.assert_allclose(bare.values[0], [[-0.5, 0.5], [-0.5, 0.5]])


def test_the_baseline_is_the_models_example_when_none_is_given() -> None:
    signature = Signature((Column("x0", "number"),))
    model = Formula(signature, lambda columns: {"y": columns["x0"] * 2}, example=[{"x0": 1}, {"x0": 3}])
    told = shapley.explain(model, table([[5.0]]))
    assert told.expected.tolist() == [4.0]
    assert told.values.tolist() == [[[6.0]]]
    with pytest.raises(InputError, match="no example"):
        shapley.explain(Formula(signature, model.formula), table([[5.0]]))
    with pytest.raises(InputError, match="no rows"):
        shapley.explain(model, table([[5.0]]), {"x0": np.empty(0)})


def test_no_rows_have_no_explanation_and_an_unknown_aggregate_is_named() -> None:
    told = shapley.explain(numbers(2, bent), table(np.empty((0, 2))), table([[0.0, 1.0]]))
    assert told.records() == []
    with pytest.raises(InputError, match="no rows"):
        told.importance()
    with pytest.raises(OrchestratorError, match="mean_ab") as refused:
        told.importance("mean_ab")  # type: ignore[arg-type]
    assert "mean_abs" in str(refused.value)


def test_the_mode_of_every_column_is_a_baseline() -> None:
    columns = {
        "n": np.array([2.0, 1.0, 1.0, 2.0, np.nan]),
        "t": np.array(["b", None, "b", "a", None], dtype=object),
        "empty": np.array([np.nan] * 5),
    }
    found = shapley.mode(columns)
    assert found["n"].tolist() == [1.0]
    assert found["t"].tolist() == ["b"]
    assert np.isnan(found["empty"]).tolist() == [True]


def test_a_forest_against_the_mode_of_its_training_data() -> None:
    """AS-22: local values sum to f(x) - f(baseline), and what a column counts for is the mean of their sizes."""
    draw = np.random.default_rng(9)
    matrix = draw.integers(0, 4, size=(200, 12)).astype(float)
    forest = RandomForestClassifier(10, random_state=0).fit(matrix, (matrix[:, 0] * matrix[:, 1] > 3).astype(int))
    model = Formula(
        numbers(12, bent).signature,
        lambda columns: {
            "label": np.empty(len(columns["x0"]), dtype=object),
            "probabilities": forest.predict_proba(np.stack(list(columns.values()), axis=1)),
        },
        classes=("no", "yes"),
    )
    baseline = shapley.mode(table(matrix))
    told = shapley.explain(model, table(matrix[:20]), baseline, exact=8)
    expected = forest.predict_proba(matrix[:20]) - forest.predict_proba(np.stack(list(baseline.values()), axis=1))
    np.testing.assert_allclose(told.values.sum(axis=1), expected, atol=1e-12)
    importance = told.importance("mean_abs")["yes"]
    assert importance["x5"] == pytest.approx(np.abs(told.values[:, 5, 1]).mean())
    assert sorted(importance, key=lambda name: -importance[name])[:2] in (["x0", "x1"], ["x1", "x0"])
