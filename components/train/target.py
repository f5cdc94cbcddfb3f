"""The column to predict: which problem it poses, and its values as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.model import frame, signature
from orchestrator.model.manifest import Class

# An integer with more different values than this is a quantity, not a class.
MAX_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Target:
    """The target of the rows that have one: class numbers and the classes, or quantities."""

    name: str
    type: str
    values: NDArray[Any]
    present: NDArray[np.bool_]
    classes: tuple[Class, ...] | None = None

    @property
    def problem(self) -> str:
        return "regression" if self.classes is None else "classification"


def read(table: Any, name: str, problem: str) -> Target:
    """The target column for a problem; with problem "" the column itself decides."""
    if name not in table.columns:
        hint = did_you_mean(name, [str(column) for column in table.columns])
        raise _refused(f"the data has no column {name!r}", hint)
    kind = frame.type_of(table[name])
    (column,), arrays = frame.columns(table[[name]])
    raw = arrays[name]
    present = ~signature.missing(raw)
    raw = raw[present]
    if not len(raw):
        raise _refused(f"the column {name!r} has no value in any row")
    if kind == "number" and (raw == np.trunc(raw)).all():
        kind = "integer"  # A table keeps integers as fractions where one is missing.
    if kind == "timestamp":
        raise _refused(f"the column {name!r} is a timestamp, which no algorithm predicts")
    distinct = len(set(raw.tolist()))
    if (problem or _problem(kind, distinct)) == "regression":
        if kind in ("string", "boolean"):
            raise _refused(f"the column {name!r} is {kind}, and regression needs numbers", "use classification")
        return Target(name, kind, raw, present)
    if kind == "number":
        raise _refused(f"the column {name!r} has fractions, so it names no classes", "use regression")
    if distinct == 1:
        raise _refused(f"the column {name!r} has one class only, {raw[0]!r}", "classification needs two or more")
    known, codes = np.unique(raw, return_inverse=True)
    as_class = {"string": str, "boolean": bool, "integer": int}[column.type if kind == "boolean" else kind]
    return Target(name, kind, codes, present, tuple(as_class(value) for value in known))


def _problem(kind: str, distinct: int) -> str:
    if kind in ("string", "boolean") or (kind == "integer" and distinct <= MAX_CLASSES):
        return "classification"
    return "regression"


def _refused(message: str, hint: str = "") -> PipelineError:
    return PipelineError([Problem(Location("target"), message, hint)])
