"""The algorithms by name: which problems each solves, and the scikit-learn estimator it stands for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.model.manifest import Class

# Set by the component itself: the seed is an input, and the machine is shared.
RESERVED: Mapping[str, str] = {
    "random_state": "use the input `seed`",
    "n_jobs": "the task's own cores are used",
    "verbose": "",
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What an algorithm can do: its problems, and whether it wants scaled features or takes missing ones."""

    name: str
    problems: tuple[str, ...]
    scaled: bool
    takes_missing: bool = False


ALGORITHMS: Mapping[str, Algorithm] = {
    each.name: each
    for each in (
        Algorithm("logistic_regression", ("classification",), scaled=True),
        Algorithm("linear_regression", ("regression",), scaled=True),
        Algorithm("random_forest", ("classification", "regression"), scaled=False, takes_missing=True),
        Algorithm("gradient_boosting", ("classification", "regression"), scaled=False, takes_missing=True),
        Algorithm("k_means", ("clustering",), scaled=True),
        Algorithm("keras", ("classification", "regression"), scaled=True),
    )
}
PROBLEMS = ("classification", "regression", "clustering")


def find(name: str, problem: str) -> Algorithm:
    """The algorithm of this name; an error when there is none, or when it does not solve the problem."""
    if name not in ALGORITHMS:
        hint = did_you_mean(name, ALGORITHMS)
        raise PipelineError([Problem(Location("algorithm"), f"there is no algorithm {name!r}", hint)])
    if problem and problem not in PROBLEMS:
        hint = did_you_mean(problem, PROBLEMS)
        raise PipelineError([Problem(Location("problem"), f"there is no problem {problem!r}", hint)])
    algorithm = ALGORITHMS[name]
    if problem and problem not in algorithm.problems:
        able = ", ".join(each.name for each in ALGORITHMS.values() if problem in each.problems)
        message = f"{name} solves {' and '.join(algorithm.problems)}, not {problem}"
        raise PipelineError([Problem(Location("problem"), message, f"for {problem}: {able}")])
    return algorithm


def estimator(
    algorithm: Algorithm,
    problem: str,
    hyperparameters: Mapping[str, Any],
    *,
    classes: Sequence[Class] | None,
    seed: int,
) -> Any:
    """The estimator with its hyperparameters, checked against the ones it has."""
    # Threads of several tasks on few cores would otherwise spend their time waiting actively for each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    made = _MAKERS[algorithm.name, problem]()
    known = made.get_params()
    problems = []
    for name in hyperparameters:
        if name in RESERVED:
            problems.append(
                Problem(Location("hyperparameters"), f"{name!r} is not set this way", RESERVED[name]),
            )
        elif name not in known:
            hint = did_you_mean(name, set(known) - set(RESERVED))
            problems.append(Problem(Location("hyperparameters"), f"{algorithm.name} has no {name!r}", hint))
    if problems:
        raise PipelineError(problems)
    given = dict(hyperparameters)
    if isinstance(weights := given.get("class_weight"), Mapping):
        given["class_weight"] = _weights(weights, classes or ())
    if "random_state" in known:
        given["random_state"] = seed
    return made.set_params(**given)


def settled(value: Any) -> Any:
    """Hyperparameters with text that is a number, true or false taken as one.

    A reference inside a mapping, `{learning_rate: "${parameters.rate}"}`, reaches a task as text, on KFP as here.
    """
    if isinstance(value, Mapping):
        return {name: settled(each) for name, each in value.items()}
    if isinstance(value, list):
        return [settled(each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return read if isinstance(read, bool | int | float) else value


def _weights(weights: Mapping[str, Any], classes: Sequence[Class]) -> dict[int, float]:
    """Weights by class name, as JSON gives them, as weights by class number."""
    numbers = {str(label).lower() if isinstance(label, bool) else str(label): i for i, label in enumerate(classes)}
    if unknown := [name for name in weights if name not in numbers]:
        hint = did_you_mean(unknown[0], numbers)
        message = f"the target has no class {unknown[0]!r}"
        raise PipelineError([Problem(Location("hyperparameters.class_weight"), message, hint)])
    return {numbers[name]: weight for name, weight in weights.items()}


def _logistic_regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _linear_regression() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _forest_classifier() -> Any:
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_jobs=joblib.cpu_count())


def _forest_regressor() -> Any:
    import joblib
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_jobs=joblib.cpu_count())


def _boosting_classifier() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier()


def _boosting_regressor() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor()


def _k_means() -> Any:
    from sklearn.cluster import KMeans

    return KMeans(n_init=10)


_MAKERS: Mapping[tuple[str, str], Callable[[], Any]] = {
    ("logistic_regression", "classification"): _logistic_regression,
    ("linear_regression", "regression"): _linear_regression,
    ("random_forest", "classification"): _forest_classifier,
    ("random_forest", "regression"): _forest_regressor,
    ("gradient_boosting", "classification"): _boosting_classifier,
    ("gradient_boosting", "regression"): _boosting_regressor,
    ("k_means", "clustering"): _k_means,
}
