"""Laws that hold for every fitted transform, whatever the table and the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model import fit, frame, transform
from orchestrator.model.operation import PARTS

numbers = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False))
words = st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["a", "b", "c"]))


@st.composite
def tables(draw: st.DrawFn, rows: int | None = None) -> pd.DataFrame:
    size = rows or draw(st.integers(2, 12))
    column = lambda of: draw(st.lists(of, min_size=size, max_size=size))  # noqa: E731
    moments = st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2050-01-01"))
    made = {
        "x": pd.Series(column(numbers), dtype="float64"),
        "y": pd.Series(column(numbers), dtype="float64"),
        "w": pd.Series(column(words), dtype="object"),
        "v": pd.Series(column(words), dtype="object"),
        "b": pd.Series(column(st.booleans()), dtype="bool"),
        "t": pd.Series(column(moments), dtype="datetime64[us]"),
    }
    made["x"].iloc[0], made["y"].iloc[0], made["w"].iloc[0] = 1.5, -2.0, "a"
    return pd.DataFrame(made)


STEPS = {
    "indicator": st.just({"columns": ["x"]}),
    "impute": st.fixed_dictionaries(
        {"columns": st.just("numeric"), "strategy": st.sampled_from(["mean", "median", "most_frequent"])}
    ),
    "clip": st.sampled_from([{"columns": ["x"], "min": -5}, {"columns": ["x"], "quantiles": [0.1, 0.9]}]),
    "scale": st.fixed_dictionaries(
        {"columns": st.just("numeric"), "method": st.sampled_from(["standard", "robust", "min_max", "max_abs"])}
    ),
}
MADE_NUMBERS = {
    "datetime": st.fixed_dictionaries(
        {"columns": st.just("timestamp"), "parts": st.lists(st.sampled_from(PARTS), min_size=1, unique=True)}
    ),
    "encode": st.fixed_dictionaries(
        {
            "columns": st.just(["w"]),
            "unknown": st.sampled_from(["ignore", "keep"]),
            "drop_last": st.booleans(),
            "max_categories": st.sampled_from([None, 2, 3]),
        }
    ),
}


@st.composite
def declared(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Steps that fit `tables`, in an order a user may well write."""
    steps = [{name: draw(options)} for name, options in STEPS.items() if draw(st.booleans())]
    steps += [{name: draw(options)} for name, options in MADE_NUMBERS.items()]
    method = draw(st.sampled_from(["ordinal", "frequency", "one_hot"]))
    return [*steps, {"encode": {"columns": ["v"], "method": method}}]


def fitted(table: pd.DataFrame, steps: list[dict[str, Any]] | None, **more: Any) -> transform.Transform:
    inputs, columns = frame.columns(table)
    return fit.fit(steps, columns, inputs, **more)


def applied(made: transform.Transform, table: pd.DataFrame) -> np.ndarray:
    return transform.apply(made, frame.take(table, made.inputs))[1]


LAWS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LAWS
@given(tables(), declared())
def test_a_transform_survives_its_text(table: pd.DataFrame, steps: list[dict[str, Any]]) -> None:
    made = fitted(table, steps)
    again = transform.load(transform.dump(made))
    assert again == made
    assert transform.dump(again) == transform.dump(made)
    np.testing.assert_array_equal(applied(again, table), applied(made, table))


@LAWS
@given(tables(), declared())
def test_a_row_alone_gives_what_it_gives_in_a_batch(table: pd.DataFrame, steps: list[dict[str, Any]]) -> None:
    made = fitted(table, steps)
    _, columns = frame.columns(table)
    whole = transform.apply(made, columns)[1]
    for row in range(len(table)):
        alone = {name: values[row : row + 1] for name, values in columns.items()}
        np.testing.assert_array_equal(transform.apply(made, alone)[1][0], whole[row])


@LAWS
@given(tables(rows=5), tables(rows=4), declared())
def test_statistics_are_those_of_the_training_rows(
    train: pd.DataFrame, test: pd.DataFrame, steps: list[dict[str, Any]]
) -> None:
    made = fitted(train, steps)
    both = pd.concat([train, test], ignore_index=True)
    _, columns = frame.columns(both)
    # What the training rows become does not depend on what is transformed with them.
    np.testing.assert_array_equal(transform.apply(made, columns)[1][:5], applied(made, train))


@LAWS
@given(tables(), st.randoms())
def test_the_order_of_rows_does_not_matter(table: pd.DataFrame, random: Any) -> None:
    steps = [
        {"impute": {"columns": "numeric", "strategy": "median"}},
        {"encode": {"columns": "string"}},
        {"drop": {"columns": ["t"]}},
    ]
    order = list(range(len(table)))
    random.shuffle(order)
    assert transform.dump(fitted(table.iloc[order], steps)) == transform.dump(fitted(table, steps))
