"""Declared steps and training data in, a fitted transform out. Statistics come from this data and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.model import operation, signature, statistic, steps
from orchestrator.model.operation import Operation
from orchestrator.model.signature import Array, Column, Columns, InputError
from orchestrator.model.transform import Transform

# What one-hot columns and indicators are called among the types: numbers that no word selects.
ENCODED = "encoded"

WORDS: Mapping[str, tuple[str, ...]] = {
    "all": signature.TYPES,
    "numeric": ("number", "integer"),
    "categorical": ("string", "boolean"),
    **{kind: (kind,) for kind in signature.TYPES},
}


@dataclass(frozen=True, slots=True)
class Current:
    """A column as it is between two steps: its type, its values, and the input it was made from."""

    type: str
    values: Array
    origin: str


def fit(
    declared: Sequence[Any] | None,
    columns: Columns,
    inputs: Sequence[Column],
    *,
    target: str | None = None,
    scaled: bool = False,
) -> Transform:
    """Fit the steps on these columns; every problem of the steps at once, as a PipelineError.

    `inputs` names the columns and their types in the order of the data, `None` for the steps means `steps.default`.
    """
    read, problems = steps.read(steps.default(scaled=scaled) if declared is None else declared)
    state = {c.name: Current(c.type, columns[c.name], c.name) for c in inputs if c.name != target}
    problems += [_infinite(name) for name, current in state.items() if _has_infinite(current.values)]
    done: list[tuple[str, Operation]] = []
    for index, step in read:
        at = f"steps[{index}].{type(step).__name__.lower()}"
        names, unknown = _selected(step, state, at, target=target)
        problems += unknown
        for name in names:
            try:
                fitted = statistic.fitted(step, name, state[name].type, state[name].values)
                for one in fitted:
                    done.append((state[name].origin, one))
                    _advance(state, one)
            except (InputError, statistic.UnfitError) as error:
                problems.append(Problem(Location(at), str(error.message), error.hint))
    problems += [] if problems else _leftovers(state)
    if problems:
        raise PipelineError(problems)
    return _transform(inputs, state, done, target=target, rows=_rows(columns))


def _transform(
    inputs: Sequence[Column],
    state: Mapping[str, Current],
    done: Iterable[tuple[str, Operation]],
    *,
    target: str | None,
    rows: int,
) -> Transform:
    """What was done, less whatever ends in no feature: a column that is dropped need not be sent to the endpoint."""
    used = {current.origin for current in state.values()}
    kept = [(origin, one) for origin, one in done if origin in used]
    filled = {origin for origin, one in kept if _takes_missing(one)}
    return Transform(
        inputs=tuple(replace(c, nullable=c.nullable or c.name in filled) for c in inputs if c.name in used),
        operations=tuple(one for _, one in kept),
        features=tuple(state),
        target=target,
        rows=rows,
        ignored=tuple(c.name for c in inputs if c.name not in used),
    )


def _takes_missing(one: Operation) -> bool:
    match one:
        case operation.Impute():
            return True
        case operation.OneHot(strict=strict) | operation.Frequency(strict=strict):
            return not strict
    return False


def _advance(state: dict[str, Current], one: Operation) -> None:
    """Put what an operation makes in the place of the column it takes."""
    old = state[one.column]
    made = {
        name: Current(_type(one, name, old.type), values, old.origin) for name, values in one.apply(old.values).items()
    }
    if clash := [name for name in made if name in state and name != one.column]:
        raise statistic.UnfitError(f"column {one.column!r} would make a column {clash[0]!r}, which is there already")
    items = list(state.items())
    state.clear()
    for name, current in items:
        state.update(made if name == one.column else {name: current})


def _type(one: Operation, name: str, before: str) -> str:
    match one:
        case operation.Cast():
            return one.type
        case operation.OneHot():
            return ENCODED
        case operation.Indicator() if name != one.column:
            return ENCODED
        case operation.Ordinal():
            return "integer"
        case operation.Frequency() | operation.Scale():
            return "number"
        case operation.Datetime() if name != one.column:
            return "integer"
    return before


def _selected(
    step: steps.Step, state: Mapping[str, Current], at: str, *, target: str | None
) -> tuple[list[str], list[Problem]]:
    """The columns a step is for. A word may stand for none; a name must be there."""
    wanted = step.columns
    if isinstance(wanted, str) and wanted in WORDS and wanted not in state:
        names = [name for name, current in state.items() if current.type in WORDS[wanted]]
        if isinstance(step, steps.Indicator):
            names = [name for name in names if signature.missing(state[name].values).any()]
        return names, []
    names = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
    problems = []
    for name in names:
        if name == target:
            message, hint = f"{name!r} is the target, not a feature", "leave it out of the steps"
        elif name not in state:
            known = [*state, *WORDS] if isinstance(wanted, str) else list(state)
            message, hint = f"there is no column {name!r} here", did_you_mean(name, known)
        else:
            continue
        problems.append(Problem(Location(f"{at}.columns"), message, hint))
    return [name for name in names if name in state], problems


def _leftovers(state: Mapping[str, Current]) -> list[Problem]:
    """Columns that no step made into numbers, or that nothing is left of."""
    problems = []
    for name, current in state.items():
        if current.type == "string":
            hint = f"add `- encode: {{columns: [{name}]}}`, or drop it"
            problems.append(Problem(Location("steps"), f"column {name!r} is still text after the last step", hint))
        elif current.type == "timestamp":
            hint = f"add `- datetime: {{columns: [{name}]}}`, or drop it"
            problems.append(Problem(Location("steps"), f"column {name!r} is still a time after the last step", hint))
    if not state:
        problems.append(Problem(Location("steps"), "no column is left as a feature"))
    return problems


def _infinite(name: str) -> Problem:
    hint = "mend the data, or leave the column out; a request with an infinite number would be refused too"
    return Problem(Location("data"), f"column {name!r} has infinite numbers", hint)


def _has_infinite(values: Array) -> bool:
    return values.dtype.kind == "f" and bool(np.isinf(values).any())


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values()))) if columns else 0
