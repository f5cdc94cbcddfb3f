"""Train a model on a table: target, transform, estimator, and the manifest that describes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.train import algorithm as algorithms
from components.train import boosting, checkpoint, network
from components.train import target as targets
from components.train.algorithm import Algorithm
from components.train.checkpoint import Checkpoint
from components.train.target import Target
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem, did_you_mean
from orchestrator.model import fit, frame
from orchestrator.model import transform as transforms
from orchestrator.model.manifest import Manifest, Training
from orchestrator.model.signature import Column, Signature
from orchestrator.model.transform import Transform

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be trained."""

    algorithm: str
    target: str | None = None
    features: Sequence[str] | None = None
    transform: Transform | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    seed: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is not yet a folder, and what scikit-learn warned of."""

    manifest: Manifest
    transform: Transform
    estimator: Any
    warnings: tuple[str, ...] = ()


def _silent(done: int, total: int, text: str) -> None:
    """No progress is shown."""


def train(
    table: pd.DataFrame,
    request: Request,
    *,
    progress: Callable[[int, int, str], None] = _silent,
    kept: Checkpoint = checkpoint.NONE,
) -> Trained:
    """Train on the rows that have a target."""
    algorithm = algorithms.find(request.algorithm, request.problem)
    if table.empty:
        raise PipelineError([Problem(Location("data"), "there is no row to train on")])
    target = _target(table, request, algorithm)
    rows = table if target is None else table[target.present]
    transform = _transform(rows, request, algorithm)
    _, matrix = transforms.apply(transform, frame.take(rows, transform.inputs))
    _refuse_missing(matrix, transform, algorithm)
    problem = target.problem if target else "clustering"
    estimator, warned = _fitted(request, algorithm, problem, matrix, target, progress=progress, kept=kept)
    manifest = Manifest(
        flavor="keras" if algorithm.name == "keras" else "sklearn",
        algorithm=algorithm.name,
        problem=problem,  # type: ignore[arg-type]
        target=target.name if target else None,
        classes=target.classes if target else None,
        signature=Signature(transform.inputs, (_output(target),), _ignored(table, transform)),
        example=tuple(_examples(rows, transform)),
        training=Training(
            rows=len(rows),
            dropped=len(table) - len(rows),
            features=transform.features,
            digest=request.digest,
            seed=request.seed,
            hyperparameters=dict(request.hyperparameters),
        ),
    )
    return Trained(manifest, transform, estimator, tuple(warned))


def _target(table: pd.DataFrame, request: Request, algorithm: Algorithm) -> Target | None:
    if algorithm.problems == ("clustering",):
        if request.target and request.target not in table.columns:
            targets.read(table, request.target, "")
        return None
    if not request.target:
        message = f"{algorithm.name} needs a target: the column to predict"
        raise PipelineError([Problem(Location("target"), message)])
    only = algorithm.problems[0] if len(algorithm.problems) == 1 else ""
    return targets.read(table, request.target, request.problem or only)


def _transform(rows: pd.DataFrame, request: Request, algorithm: Algorithm) -> Transform:
    """The transform that was given, or the default one fitted on these rows."""
    if request.transform is None:
        chosen = _chosen(rows, request)
        inputs, columns = frame.columns(rows[chosen])
        return fit.fit(None, columns, inputs, target=request.target, scaled=algorithm.scaled)
    given = request.transform
    if request.features is not None:
        hint = "leave columns out with a `drop` step, or leave the transform out"
        message = "the transform decides already which columns are used"
        raise PipelineError([Problem(Location("features"), message, hint)])
    if request.target in {column.name for column in given.inputs}:
        message = f"the transform uses the target {request.target!r} as a feature"
        raise PipelineError([Problem(Location("transform"), message, "give the transform the same target")])
    return given


def _chosen(rows: pd.DataFrame, request: Request) -> list[str]:
    known = [str(name) for name in rows.columns if name != request.target]
    if request.features is None:
        return known
    problems = []
    for name in request.features:
        if name == request.target:
            problems.append(Problem(Location("features"), f"{name!r} is the target"))
        elif name not in known:
            hint = did_you_mean(str(name), known)
            problems.append(Problem(Location("features"), f"the data has no column {name!r}", hint))
    if not request.features:
        problems.append(Problem(Location("features"), "the list is empty", "leave it out to use every column"))
    if problems:
        raise PipelineError(problems)
    return [name for name in known if name in request.features]


def _refuse_missing(matrix: NDArray[np.float64], transform: Transform, algorithm: Algorithm) -> None:
    if algorithm.takes_missing:
        return
    holes = np.isnan(matrix).sum(axis=0)
    hint = "add an impute step to the transform, or use gradient_boosting or random_forest"
    problems = [
        Problem(Location("data"), f"{algorithm.name} takes no missing values, and {name!r} has {count:,}", hint)
        for name, count in zip(transform.features, holes, strict=True)
        if count
    ]
    if problems:
        raise PipelineError(problems)


def _fitted(
    request: Request,
    algorithm: Algorithm,
    problem: str,
    matrix: NDArray[np.float64],
    target: Target | None,
    *,
    progress: Callable[[int, int, str], None],
    kept: Checkpoint,
) -> tuple[Any, list[str]]:
    """The trained estimator, and what it warned of."""
    if algorithm.name == "keras":
        assert target is not None  # noqa: S101  Keras solves no problem without one.
        chosen = network.hyperparameters(request.hyperparameters)
        classes = len(target.classes or ())
        trained = network.train(
            matrix, target.values, classes=classes, chosen=chosen, seed=request.seed, progress=progress, kept=kept
        )
        return trained, []
    classes_known = target.classes if target else None
    estimator = algorithms.estimator(
        algorithm, problem, request.hyperparameters, classes=classes_known, seed=request.seed
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            values = None if target is None else target.values
            if algorithm.name == "gradient_boosting" and kept.folder:
                estimator = boosting.fit(estimator, matrix, values, kept=kept, progress=progress)
            else:
                estimator.fit(matrix, values)
        except (ValueError, TypeError) as error:
            raise OrchestratorError(f"{algorithm.name} cannot be trained: {str(error).splitlines()[0]}") from error
    if "n_jobs" in estimator.get_params():
        # A served model answers one small request at a time: starting threads costs more than they save.
        estimator.set_params(n_jobs=None)
    return estimator, list(dict.fromkeys(" ".join(str(each.message).split("\n\n")[0].split()) for each in caught))


def _output(target: Target | None) -> Column:
    if target is None:
        return Column("cluster", "integer")
    return Column(target.name, target.type if target.classes else "number")  # type: ignore[arg-type]


def _ignored(table: pd.DataFrame, transform: Transform) -> tuple[str, ...]:
    used = {column.name for column in transform.inputs}
    return tuple(str(name) for name in table.columns if name not in used)


def _examples(rows: pd.DataFrame, transform: Transform) -> list[dict[str, Any]]:
    """Raw rows as a request would have them; whole ones where there are any."""
    names = [column.name for column in transform.inputs]
    whole = rows[rows[names].notna().all(axis=1)]
    return frame.records(rows if whole.empty else whole, transform.inputs, EXAMPLES)
