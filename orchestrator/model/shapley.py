"""What each column added to a prediction: Shapley values against a baseline, by rows.

The value of a set of columns is what the model gives when these are the row's own and all others the baseline's. The
values of a row sum to f(row) - f(baseline), where f(baseline) is the mean over the baseline's rows. They are exact
where few columns differ from the baseline; else the mean over seeded orders of the columns, each also taken backwards.
A row's values depend on no other row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import OrchestratorError, did_you_mean
from orchestrator.model import signature as signatures
from orchestrator.model.signature import Array, Columns, InputError, Signature

Floats = NDArray[np.float64]
Aggregate = Literal["mean_abs", "median", "mean_sq"]

# 2**10 mixtures of a row and the baseline: what a forest answers in tens of milliseconds.
EXACT = 10
ORDERS = 64
# So many values are given to the model at once, whatever was asked: memory stays the same.
CELLS = 1 << 18


class Model(Protocol):
    """What can be explained: every back end of the server."""

    @property
    def signature(self) -> Signature: ...
    @property
    def example(self) -> Sequence[Mapping[str, Any]]: ...
    def outputs(self, columns: Columns) -> dict[str, Array]: ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """What every column added to every output of every row. An output is a class, or the predicted number."""

    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Floats  # [rows, columns, outputs]
    expected: Floats  # [outputs]: the baseline's
    predicted: Floats  # [rows, outputs]
    exact: bool

    def importance(self, aggregate: Aggregate = "mean_abs") -> dict[str, dict[str, float]]:
        """What each column does over all rows: output -> column -> value."""
        if aggregate not in get_args(Aggregate):
            hint = did_you_mean(aggregate, get_args(Aggregate))
            raise OrchestratorError(f"there is no aggregate {aggregate!r}", hint=hint)
        if not len(self.values):
            raise InputError("there are no rows to explain")
        match aggregate:
            case "mean_abs":
                found = np.abs(self.values).mean(axis=0)
            case "median":
                found = np.median(self.values, axis=0)
            case _:
                found = (self.values**2).mean(axis=0)
        return self._by_output(found)

    def records(self) -> list[dict[str, Any]]:
        """Each row's explanation as JSON takes it."""
        expected = self._named(self.expected)
        return [
            {
                "values": self._by_output(values),
                "expected_value": expected,
                "prediction": self._named(predicted),
            }
            for values, predicted in zip(self.values, self.predicted, strict=True)
        ]

    def _by_output(self, values: Floats) -> dict[str, dict[str, float]]:
        return {
            output: dict(zip(self.columns, values[:, index].tolist(), strict=True))
            for index, output in enumerate(self.outputs)
        }

    def _named(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.outputs, values.tolist(), strict=True))


def explain(
    model: Model,
    columns: Columns,
    baseline: Columns | None = None,
    *,
    seed: int = 0,
    exact: int = EXACT,
    orders: int = ORDERS,
) -> Explanation:
    """Explain rows against a baseline of one or more rows; without one, against the model's own example.

    Columns are as `signature.columns_from_*` make them. Up to `exact` columns that differ from the baseline are
    done exactly, more by `orders` seeded orders. Raises InputError.
    """
    names = [column.name for column in model.signature.inputs]
    rows = {name: columns[name] for name in names}
    base = _baseline(model, names, baseline)
    count, background = len(rows[names[0]]), len(base[names[0]])
    measure, outputs = _measured(model, rows, base)
    expected, predicted = measure(base).mean(axis=0), measure(rows)
    differs = np.stack([_differs(rows[name], base[name]) for name in names], axis=-1).reshape(-1, len(names))
    values = np.zeros((count * background, len(names), len(outputs)))
    pairs = _Pairs(rows, base, names, background, measure)
    players = differs.sum(axis=1)
    for many in np.unique(players[players > 0]).tolist():
        chosen = np.flatnonzero(players == many)
        active = np.nonzero(differs[chosen])[1].reshape(-1, many)
        found = _exactly(pairs, chosen, active) if many <= exact else _sampled(pairs, chosen, active, orders, seed)
        for at, these, part in found:
            values[at[:, None], these] = part
    values = values.reshape(count, background, len(names), len(outputs)).mean(axis=1)
    return Explanation(tuple(names), outputs, values, expected, predicted, bool(players.max(initial=0) <= exact))


def mode(columns: Columns) -> dict[str, Array]:
    """A baseline of one row: the most frequent value of every column, the least of equally frequent ones."""
    return {name: _mode(values) for name, values in columns.items()}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Every row with every row of the baseline, numbered `row * background + baseline row`."""

    rows: Columns
    base: Columns
    names: Sequence[str]
    background: int
    measure: Callable[[Columns], Floats]

    def own(self, active: NDArray[np.int64], sets: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which columns are the row's: [pairs, sets, columns], of sets that speak of each pair's active columns."""
        own = np.zeros((len(active), len(sets), len(self.names)), dtype=bool)
        own[np.arange(len(active))[:, None, None], np.arange(len(sets))[None, :, None], active[:, None, :]] = sets
        return own

    def mixed(self, pairs: NDArray[np.int64], own: NDArray[np.bool_]) -> Floats:
        """What the model gives for each pair's mixtures, `own` [pairs, mixtures, columns] being the row's columns."""
        row, base = np.divmod(pairs, self.background)
        mixtures = {
            name: np.where(own[:, :, index], self.rows[name][row][:, None], self.base[name][base][:, None]).ravel()
            for index, name in enumerate(self.names)
        }
        return np.reshape(self.measure(mixtures), (*own.shape[:2], -1))


_Part = tuple[NDArray[np.int64], NDArray[np.int64], Floats]


def _exactly(pairs: _Pairs, chosen: NDArray[np.int64], active: NDArray[np.int64]) -> Iterator[_Part]:
    many = active.shape[1]
    sets = (np.arange(2**many)[:, None] >> np.arange(many)) & 1 == 1
    weights = _weights(sets)
    for at, these in _batches(pairs, chosen, active, len(sets)):
        yield at, these, np.einsum("sm,psk->pmk", weights, pairs.mixed(at, pairs.own(these, sets)))


def _weights(sets: NDArray[np.bool_]) -> Floats:
    """How much the value of each set counts for each player: [sets, players]."""
    many = sets.shape[1]
    size = sets.sum(axis=1)
    total = factorial(many)
    joined = np.array([factorial(s - 1) * factorial(many - s) / total if s else 0.0 for s in range(many + 1)])
    left = np.array([factorial(s) * factorial(many - s - 1) / total if s < many else 0.0 for s in range(many + 1)])
    return np.asarray(np.where(sets, joined[size][:, None], -left[size][:, None]))


def _sampled(
    pairs: _Pairs, chosen: NDArray[np.int64], active: NDArray[np.int64], orders: int, seed: int
) -> Iterator[_Part]:
    many = active.shape[1]
    # From the seed and the number of columns alone, so that a row has the same values in any company.
    forth = np.random.default_rng([seed, many]).permuted(np.tile(np.arange(many), (max(1, orders // 2), 1)), axis=1)
    drawn = np.concatenate([forth, forth[:, ::-1]])
    together = max(1, CELLS // ((many + 1) * len(pairs.names)))
    parts = [drawn[start : start + together] for start in range(0, len(drawn), together)]
    for at, these in _batches(pairs, chosen, active, len(parts[0]) * (many + 1)):
        values = sum(_along(pairs, at, these, part) for part in parts)
        yield at, these, np.asarray(values) / len(drawn)


def _along(pairs: _Pairs, at: NDArray[np.int64], active: NDArray[np.int64], orders: NDArray[np.int64]) -> Floats:
    """What each column adds as the columns become the row's own one by one, summed: [pairs, columns, outputs]."""
    place = np.argsort(orders, axis=1)
    sets = np.arange(orders.shape[1] + 1)[None, :, None] > place[:, None, :]
    found = pairs.mixed(at, pairs.own(active, sets.reshape(-1, orders.shape[1])))
    steps = np.diff(found.reshape(len(at), *sets.shape[:2], -1), axis=2)
    taken = np.take_along_axis(steps, place[None, :, :, None], axis=2)
    return np.asarray(taken.sum(axis=1))


def _batches(
    pairs: _Pairs, chosen: NDArray[np.int64], active: NDArray[np.int64], mixtures: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    size = max(1, CELLS // (mixtures * len(pairs.names)))
    for start in range(0, len(chosen), size):
        yield chosen[start : start + size], active[start : start + size]


def _measured(model: Model, rows: Columns, base: Columns) -> tuple[Callable[[Columns], Floats], tuple[str, ...]]:
    """The numbers that are explained: probabilities by class, else the prediction, a label as 0 or 1 by label."""
    own, given = model.outputs(rows), model.outputs(base)
    prediction = next(iter(own))
    scores = next((name for name, values in own.items() if values.ndim == 2 and values.dtype.kind == "f"), None)
    if scores is not None:
        names = _classes(model, own[scores].shape[1])
        return lambda columns: np.asarray(model.outputs(columns)[scores], dtype=np.float64), names
    if own[prediction].ndim != 1:
        shape = list(own[prediction].shape)
        raise InputError(f"the output {prediction!r} of shape {shape} is not a number or a label per row")
    if own[prediction].dtype.kind == "f":
        number = lambda columns: np.asarray(model.outputs(columns)[prediction], dtype=np.float64)[:, None]  # noqa: E731
        return number, (prediction,)
    labels = sorted({*own[prediction].tolist(), *given[prediction].tolist()}, key=str)

    def indicated(columns: Columns) -> Floats:
        found = model.outputs(columns)[prediction]
        return np.stack([np.asarray(found == label, dtype=np.float64) for label in labels], axis=1)

    return indicated, tuple(str(label) for label in labels)


def _classes(model: Model, count: int) -> tuple[str, ...]:
    classes = getattr(model, "classes", None)
    if classes is not None and len(classes) == count:
        return tuple(str(each) for each in classes)
    return tuple(str(number) for number in range(count))


def _baseline(model: Model, names: Sequence[str], baseline: Columns | None) -> Columns:
    if baseline is None:
        if not model.example:
            raise InputError("the model has no example to explain against", hint="give a baseline of one row or more")
        baseline = signatures.columns_from_records(model.signature, list(model.example))
    if not len(baseline[names[0]]):
        raise InputError("the baseline has no rows", hint="give one row or more")
    return baseline


def _differs(own: Array, base: Array) -> NDArray[np.bool_]:
    """Where a row's value is not that of the baseline: [rows, baseline rows]. A column that is equal adds nothing."""
    gone, away = signatures.missing(own)[:, None], signatures.missing(base)[None, :]
    return np.asarray(np.where(gone | away, gone != away, own[:, None] != base[None, :]), dtype=bool)


def _mode(values: Array) -> Array:
    present = values[~signatures.missing(values)]
    if not len(present):
        return values[:1]
    found, counts = np.unique(present, return_counts=True)
    most = np.empty(1, dtype=values.dtype)
    most[0] = found[np.argmax(counts)]
    return most
