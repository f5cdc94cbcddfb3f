"""A fitted transform: what each step does, with scikit-learn and pandas as the judges of every number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from orchestrator.errors import OrchestratorError, PipelineError
from orchestrator.model import fit, frame, transform
from orchestrator.model.signature import InputError

TABLE = pd.DataFrame(
    {
        "mass": [3750.0, None, 4200.0, 5100.0, 3300.0, 4800.0],
        "wing": [181.0, 186.0, 195.0, None, 193.0, 210.0],
        "island": ["Biscoe", "Dream", None, "Dream", "Torgersen", "Dream"],
        "sex": ["male", "female", "male", None, "female", "female"],
        "tagged": [True, False, True, True, False, True],
        "seen": pd.to_datetime(
            ["2013-01-01 05:00", "2013-12-31 23:59", "2016-02-29", None, "1969-07-20", "2013-03-03"], format="ISO8601"
        ),
        "species": ["a", "b", "a", "c", "b", "c"],
    }
)


def fitted(table: pd.DataFrame, steps: list[dict[str, Any]] | None, **more: Any) -> transform.Transform:
    inputs, columns = frame.columns(table)
    return fit.fit(steps, columns, inputs, **more)


def applied(made: transform.Transform, table: pd.DataFrame) -> np.ndarray:
    return transform.apply(made, frame.take(table, made.inputs))[1]


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_imputes_as_scikit_learn_does(strategy: str) -> None:
    table = TABLE[["mass", "wing"]]
    made = fitted(table, [{"impute": {"columns": "all", "strategy": strategy}}])
    np.testing.assert_array_equal(applied(made, table), SimpleImputer(strategy=strategy).fit_transform(table))


@pytest.mark.parametrize(
    ("method", "judge"),
    [
        ("standard", StandardScaler()),
        ("robust", RobustScaler()),
        ("min_max", MinMaxScaler()),
        ("max_abs", MaxAbsScaler()),
    ],
)
def test_scales_as_scikit_learn_does(method: str, judge: Any) -> None:
    random = np.random.default_rng(0)
    train = pd.DataFrame({"a": random.normal(50, 9, 200), "b": random.exponential(3, 200), "same": 7.3})
    train.loc[3, "a"] = np.nan
    test = pd.DataFrame({"a": random.normal(0, 99, 50), "b": random.normal(0, 9, 50), "same": 9.0})
    made = fitted(train, [{"scale": {"columns": "numeric", "method": method}}])
    judge.fit(train.to_numpy())
    test.loc[0, "a"] = 1.0
    _, columns = frame.columns(test)
    np.testing.assert_allclose(transform.apply(made, columns)[1], judge.transform(test.to_numpy()), rtol=1e-12)


def test_one_hot_as_scikit_learn_does() -> None:
    table, unseen = TABLE[["island", "sex"]], pd.DataFrame({"island": ["Anvers", "Dream"], "sex": ["male", None]})
    made = fitted(table, [{"encode": {"columns": "all"}}])
    judge = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(table)
    for each in (table, unseen):
        np.testing.assert_array_equal(applied(made, each), judge.transform(each))
    assert made.features[:4] == ("island=Biscoe", "island=Dream", "island=Torgersen", "island=<missing>")


@pytest.mark.parametrize("bound", [{"min_frequency": 2}, {"min_frequency": 0.4}, {"max_categories": 3}])
def test_rare_categories_share_a_column_as_in_scikit_learn(bound: dict[str, Any]) -> None:
    words_ = ["a"] * 5 + ["b"] * 4 + ["c"] * 2 + ["d", "e"]
    table = pd.DataFrame({"w": pd.Series(words_, dtype="object")})
    made = fitted(table, [{"encode": {"columns": ["w"], **bound}}])
    judge = OneHotEncoder(handle_unknown="infrequent_if_exist", sparse_output=False, **bound).fit(table)
    new = pd.DataFrame({"w": ["a", "e", "zebra"]})
    for each in (table, new):
        np.testing.assert_array_equal(applied(made, each), judge.transform(each))


def test_ordinal_as_scikit_learn_does() -> None:
    table = TABLE[["sex"]]
    made = fitted(table.dropna(), [{"encode": {"columns": "all", "method": "ordinal"}}])
    judge = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(table.dropna())
    new = pd.DataFrame({"sex": ["male", "female", "other"]})
    np.testing.assert_array_equal(applied(made, new), judge.transform(new))


@pytest.mark.parametrize(
    "part", ["year", "quarter", "month", "day", "dayofyear", "weekday", "hour", "minute", "second"]
)
def test_takes_times_apart_as_pandas_does(part: str) -> None:
    table = TABLE[["seen"]]
    made = fitted(table, [{"datetime": {"columns": "timestamp", "parts": [part]}}])
    np.testing.assert_array_equal(applied(made, table)[:, 0], getattr(table["seen"].dt, part).to_numpy(dtype=float))


def test_a_text_is_read_as_a_time() -> None:
    table = pd.DataFrame({"at": ["2013-05-17T06:30:00Z", None, "2013-05-17T06:30:00+02:00"]})
    made = fitted(table, [{"datetime": {"columns": ["at"], "parts": ["hour"]}}])
    np.testing.assert_array_equal(applied(made, table)[:, 0], [6, np.nan, 4])


def test_casts() -> None:
    table = pd.DataFrame({"a": ["1.5", " 2 ", None], "b": [1.9, -1.9, 0.0], "c": ["yes", "FALSE", "1"], "d": [1, 2, 3]})
    steps = [
        {"cast": {"columns": ["a"], "type": "number"}},
        {"cast": {"columns": ["b"], "type": "integer"}},
        {"cast": {"columns": ["c"], "type": "boolean"}},
        {"cast": {"columns": ["d"], "type": "string"}},
        {"encode": {"columns": ["d"]}},
    ]
    made = fitted(table, steps)
    assert made.features == ("a", "b", "c", "d=1", "d=2", "d=3")
    np.testing.assert_array_equal(applied(made, table)[:, :3], [[1.5, 1, 1], [2, -1, 0], [np.nan, 0, 1]])
    with pytest.raises(InputError, match="column 'a': 'two' cannot be cast to number"):
        applied(made, pd.DataFrame({"a": ["two"], "b": [1.0], "c": ["no"], "d": [1]}))


def test_indicator_and_clip() -> None:
    table = TABLE[["mass"]]
    steps = [
        {"indicator": {"columns": "numeric"}},
        {"impute": {"columns": ["mass"], "strategy": "constant", "value": 0}},
        {"clip": {"columns": ["mass"], "min": 3400, "max": 5000}},
    ]
    made = fitted(table, steps)
    assert made.features == ("mass", "mass=<missing>")
    np.testing.assert_array_equal(applied(made, table)[:2], [[3750, 0], [3400, 1]])


def test_what_is_dropped_need_not_be_sent() -> None:
    steps = [
        {"impute": {"columns": "all", "strategy": "most_frequent"}},
        {"drop": {"columns": ["seen", "island", "tagged"]}},
        {"encode": {"columns": "string"}},
    ]
    with pytest.raises(PipelineError, match="take its parts with `datetime` first"):
        fitted(TABLE, steps, target="species")
    made = fitted(TABLE, [steps[1], steps[0], steps[2]], target="species")
    assert [column.name for column in made.inputs] == ["mass", "wing", "sex"]
    assert made.ignored == ("island", "tagged", "seen", "species")
    assert all(operation.column not in ("seen", "island", "tagged") for operation in made.operations)


def test_unknown_error_names_column_and_value() -> None:
    made = fitted(TABLE[["sex"]].dropna(), [{"encode": {"columns": ["sex"], "unknown": "error"}}])
    with pytest.raises(InputError, match="column 'sex' has 'other', which the training data did not have"):
        applied(made, pd.DataFrame({"sex": ["male", "other"]}))


def test_every_problem_of_the_steps_at_once() -> None:
    steps: list[Any] = [
        {"imputed": {"columns": "all"}},
        {"impute": {"columns": "numerc", "strategy": "median"}},
        {"impute": {"columns": "numeric", "strategy": "mode", "vlue": 1}},
        {"scale": {"columns": ["wng", "species"]}},
        {"clip": {"columns": "numeric"}},
        {"encode": {"columns": ["sex"], "unknown": "skip"}},
        {"scale": {"columns": ["island"]}},
        "drop",
    ]
    with pytest.raises(PipelineError) as raised:
        fitted(TABLE, steps, target="species")
    assert str(raised.value).splitlines() == [
        "steps[0]: there is no step 'imputed'",
        "  hint: did you mean 'impute'?",
        "steps[1].impute.columns: there is no column 'numerc' here",
        "  hint: did you mean 'numeric'?",
        "steps[2].impute: there is no option 'vlue'",
        "  hint: did you mean 'value'?",
        "steps[2].impute.strategy: 'mode' is none of: mean, median, most_frequent, constant",
        "steps[3].scale.columns: there is no column 'wng' here",
        "  hint: did you mean 'wing'?",
        "steps[3].scale.columns: 'species' is the target, not a feature",
        "  hint: leave it out of the steps",
        "steps[4].clip: give `min` and/or `max`, or `quantiles`",
        "steps[5].encode.unknown: 'skip' is none of: ignore, keep, error",
        "steps[6].scale: column 'island' is string, so there is nothing to scale",
        "  hint: cast or encode it first",
        "steps[7]: a step has one name and its options",
        "  hint: a step is written as `- impute: {columns: numeric, strategy: median}`",
    ]


@pytest.mark.parametrize(
    ("table", "steps", "message"),
    [
        (TABLE[["island"]], [{"impute": {"columns": "all", "strategy": "most_frequent"}}], "still text after the last"),
        (TABLE[["seen"]], [{"drop": {"columns": []}}], "still a time after the last step"),
        (TABLE[["mass"]], [{"drop": {"columns": ["mass"]}}], "no column is left as a feature"),
        (pd.DataFrame({"a": [np.nan, np.nan], "b": [1.0, 2.0]}), None, "no value at all in the training data"),
        (pd.DataFrame({"a": [1.0, np.inf]}), None, "column 'a' has infinite numbers"),
        (pd.DataFrame({"a": [str(i) for i in range(1500)]}), [{"encode": {"columns": "all"}}], "too many for one_hot"),
        (pd.DataFrame({"a=x": [1.0, 2.0], "a": ["x", "y"]}), None, "would make a column 'a=x', which is there already"),
    ],
)
def test_a_step_that_does_not_go_with_the_data(table: pd.DataFrame, steps: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        fitted(table, steps)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2}', '{"version": 1}', '{"version": 1, "inputs": 3}', "\x00garbage"]
)
def test_what_is_no_transform_is_refused(text: str) -> None:
    with pytest.raises(OrchestratorError, match=r"transform\.json"):
        transform.load(text)


def test_an_unknown_operation_is_refused() -> None:
    text = transform.dump(fitted(TABLE[["mass"]], None)).replace('"do": "impute"', '"do": "eval"')
    with pytest.raises(OrchestratorError, match="is not a fitted transform"):
        transform.load(text)


def test_rare_is_not_unknown() -> None:
    table = pd.DataFrame({"w": ["a", "a", "b", "b", "c", "d"]})
    made = fitted(table, [{"encode": {"columns": ["w"], "unknown": "error", "min_frequency": 2}}])
    assert made.features == ("w=a", "w=b", "w=<other>")
    np.testing.assert_array_equal(applied(made, table.tail(2)), [[0, 0, 1], [0, 0, 1]])
    with pytest.raises(InputError, match="column 'w' has 'z'"):
        applied(made, pd.DataFrame({"w": ["z"]}))
    assert transform.load(transform.dump(made)) == made


def test_drop_last_leaves_one_category_out() -> None:
    table = pd.DataFrame({"w": ["a", "b", "c"]})
    made = fitted(table, [{"encode": {"columns": ["w"], "drop_last": True}}])
    assert made.features == ("w=a", "w=b")
    np.testing.assert_array_equal(applied(made, table), [[1, 0], [0, 1], [0, 0]])
