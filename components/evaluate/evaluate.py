"""Measure a model, and the champion, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate import classes, quantities, slices
from components.evaluate.classes import Answers
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem, did_you_mean
from orchestrator.model import frame
from orchestrator.model import transform as transforms
from orchestrator.model.folder import Model
from orchestrator.model.manifest import Class
from orchestrator.model.signature import Column, InputError


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an evaluation."""

    target: str | None = None
    positive: str = ""
    threshold: float = 0.5
    slices: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered model version to compare with."""

    name: str
    version: str
    model: Model


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of one model, and what they were computed from, for the pictures."""

    metrics: Mapping[str, float]
    answers: Answers | None = None
    truth: NDArray[Any] | None = None
    predicted: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The champion's metrics on the same rows."""

    name: str
    version: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class Slice:
    """The metrics on the rows with these values."""

    where: Mapping[str, Any]
    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured."""

    model: Model
    rows: int
    measured: Measured
    target: str | None = None
    baseline: Baseline | None = None
    slices: tuple[Slice, ...] = ()
    notes: tuple[str, ...] = ()
    positive: Class | None = None
    threshold: float = 0.5
    dropped: int = 0

    @property
    def problem(self) -> str:
        return self.model.manifest.problem

    @property
    def f1(self) -> float:
        return self.measured.metrics.get("f1", float("nan"))

    @property
    def score(self) -> float:
        """The one number to choose by, greater is better: F1, R², or the silhouette."""
        name = {"regression": "r2", "clustering": "silhouette"}.get(self.problem, "f1")
        return self.measured.metrics.get(name, float("nan"))


def evaluate(
    model: Model, table: pd.DataFrame, request: Request, champion: Champion | None = None, notes: Sequence[str] = ()
) -> Evaluation:
    """Measure on the rows that have a target; the champion on the same ones."""
    target = request.target or model.manifest.target
    positive = _positive(model, request)
    groups = slices.check(table, request.slices)
    if target is not None and target not in table.columns:
        hint = did_you_mean(target, [str(name) for name in table.columns])
        raise PipelineError([Problem(Location("target"), f"the data has no column {target!r}", hint)])
    present = table[target].notna() if target and model.manifest.problem != "clustering" else np.full(len(table), True)
    rows = table[present].reset_index(drop=True)
    if rows.empty:
        raise PipelineError([Problem(Location("data"), "there is no row to measure on")])
    measured = _measure(model, rows, target, positive, request.threshold)
    told = [*notes]
    if any(np.isnan(value) for value in (measured.metrics.get("f1", 0.0), measured.metrics.get("rmse", 0.0))):
        told.append("some predictions are not numbers, so no metric is")
    return Evaluation(
        model=model,
        rows=len(rows),
        measured=measured,
        target=target,
        baseline=None
        if champion is None
        else _baseline(champion, model, rows, replace(request, target=target), positive),
        slices=tuple(
            Slice(group.where, len(group.rows), _sliced(measured, model, rows, group.rows))
            for group in slices.split(rows, groups)
        ),
        notes=tuple(told),
        positive=positive,
        threshold=request.threshold,
        dropped=len(table) - len(rows),
    )


def _measure(
    model: Model, rows: pd.DataFrame, target: str | None, positive: Class | None, threshold: float
) -> Measured:
    manifest = model.manifest
    columns = frame.take(rows, manifest.signature.inputs)
    prediction = model.predict(columns)
    if manifest.problem == "clustering":
        _, matrix = transforms.apply(model.transform, columns)
        distances = model.estimator.transform(matrix)
        return Measured(quantities.clustering(matrix, prediction.values, distances), predicted=prediction.values)
    assert target is not None  # noqa: S101  Only clustering has none.
    kind = manifest.signature.outputs[0].type
    truth = frame.take(rows, [Column(target, kind, nullable=True)])[target]
    if manifest.problem == "regression":
        return Measured(quantities.regression(truth, prediction.values), truth=truth, predicted=prediction.values)
    known = manifest.classes or ()
    assert prediction.probabilities is not None  # noqa: S101  Every classifier gives them.
    number = None if positive is None else known.index(positive)
    labels, codes = _codes(truth, known)
    predicted = classes.decide(prediction.probabilities, number, threshold)
    answers = Answers(labels, codes, predicted, prediction.probabilities, number)
    return Measured(classes.measure(answers), answers)


def _codes(truth: NDArray[Any], known: tuple[Class, ...]) -> tuple[tuple[Class, ...], NDArray[np.int64]]:
    """The truth as class numbers; a label that the model does not know gets a number after the ones it does."""
    kind = type(known[0])
    items = [kind(value) for value in truth.tolist()]
    if not set(items) & set(known):
        names = ", ".join(map(str, known[:12]))
        raise InputError(f"no row has a class that the model knows: {names}", hint="is this the right target?")
    labels = (*known, *sorted(set(items) - set(known)))
    places = {label: place for place, label in enumerate(labels)}
    return labels, np.array([places[item] for item in items], dtype=np.int64)


def _positive(model: Model, request: Request) -> Class | None:
    """The positive class of a model with two classes, None for any other model."""
    known = model.manifest.classes
    if not 0 <= request.threshold <= 1:
        raise PipelineError([Problem(Location("threshold"), f"{request.threshold:g} is not between 0 and 1")])
    if known is None or len(known) != 2:
        if request.positive:
            count = f"{len(known)} classes" if known else "no classes"
            raise PipelineError([Problem(Location("positive"), f"only two classes have a positive one; {count} here")])
        return None
    named = {str(label).lower() if isinstance(label, bool) else str(label): label for label in known}
    if not request.positive:
        return known[1]
    wanted = request.positive.lower() if isinstance(known[0], bool) else request.positive
    if wanted not in named:
        hint = did_you_mean(request.positive, named)
        raise PipelineError([Problem(Location("positive"), f"the model has no class {request.positive!r}", hint)])
    return named[wanted]


def _baseline(
    champion: Champion, candidate: Model, rows: pd.DataFrame, request: Request, positive: Class | None
) -> Baseline:
    """The champion on the candidate's rows; one that cannot be measured there is an error, not a missing baseline."""
    manifest, who = champion.model.manifest, f"{champion.name}/{champion.version}"
    if manifest.problem != candidate.manifest.problem:
        raise OrchestratorError(
            f"the baseline {who} solves {manifest.problem}, the candidate {candidate.manifest.problem}",
            hint="compare with a model for the same problem, or leave the baseline out",
        )
    if (manifest.classes and len(manifest.classes) == 2) != (positive is not None):
        positive = manifest.classes[1] if manifest.classes and len(manifest.classes) == 2 else None
    if positive is not None and positive not in (manifest.classes or ()):
        raise OrchestratorError(f"the baseline {who} does not know the positive class {positive!r}")
    try:
        measured = _measure(champion.model, rows, request.target, positive, request.threshold)
    except InputError as error:
        hint = "the data has changed since the baseline was trained; leave the baseline out for this once"
        raise OrchestratorError(f"the baseline {who} cannot be measured here: {error.message}", hint=hint) from error
    return Baseline(champion.name, champion.version, measured)


def _sliced(measured: Measured, model: Model, rows: pd.DataFrame, chosen: NDArray[np.int64]) -> dict[str, float]:
    if measured.answers is not None:
        return classes.measure(measured.answers.rows(chosen))
    if measured.truth is not None and measured.predicted is not None:
        return quantities.regression(measured.truth[chosen], measured.predicted[chosen])
    return dict(_measure(model, rows.iloc[chosen], None, None, 0.5).metrics)
