"""A fitted transform: raw columns in, a matrix of features out; the same in training, evaluation and serving.

It is plain JSON and pure numpy. `fit.fit` makes one; a model folder carries it; nothing in it can run code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import OrchestratorError
from orchestrator.model.operation import OPERATIONS, Operation
from orchestrator.model.signature import Array, Column, Columns, InputError

VERSION = 1


@dataclass(frozen=True, slots=True)
class Transform:
    """The columns it takes, what it does to them in order, and the features it gives."""

    inputs: tuple[Column, ...]
    operations: tuple[Operation, ...]
    features: tuple[str, ...]
    target: str | None = None
    rows: int = 0
    ignored: tuple[str, ...] = ()


def apply(transform: Transform, columns: Columns) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names of the features and the matrix, one row per row of the columns; other columns are not looked at."""
    state: dict[str, Array] = {}
    for column in transform.inputs:
        if column.name not in columns:
            raise InputError(f"the transform needs a column {column.name!r}, which the data does not have")
        state[column.name] = columns[column.name]
    rows = len(next(iter(state.values()))) if state else 0
    for operation in transform.operations:
        state.update(operation.apply(state.pop(operation.column)))
    matrix = np.empty((rows, len(transform.features)))
    for index, name in enumerate(transform.features):
        matrix[:, index] = state[name]
    return transform.features, matrix


def dump(transform: Transform) -> str:
    """The transform as JSON text, the same text for the same transform."""
    document = {
        "version": VERSION,
        "target": transform.target,
        "rows": transform.rows,
        "inputs": [column_values(column) for column in transform.inputs],
        "operations": [{"do": type(o).__name__.lower(), **asdict(o)} for o in transform.operations],
        "features": list(transform.features),
        "ignored": list(transform.ignored),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def load(text: str, *, name: str = "transform.json") -> Transform:
    """The transform a text describes; another version, or anything it does not know, is refused."""
    try:
        document = json.loads(text)
        version = document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise OrchestratorError(f"{name} is not a fitted transform: {error!r}") from error
    if version != VERSION:
        raise OrchestratorError(f"{name} has format version {version!r}, this program reads version {VERSION}")
    try:
        return Transform(
            inputs=tuple(column(values) for values in document["inputs"]),
            operations=tuple(_operation(values) for values in document["operations"]),
            features=tuple(document["features"]),
            target=document["target"],
            rows=document["rows"],
            ignored=tuple(document["ignored"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise OrchestratorError(f"{name} is not a fitted transform: {error!r}") from error


def read(path: Path) -> Transform:
    """The transform in a file."""
    try:
        return load(path.read_text(encoding="utf-8"), name=path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise OrchestratorError(f"the transform {path} cannot be read: {error}") from error


def column_values(column: Column) -> dict[str, Any]:
    """A column as JSON: categories only where it has them."""
    values: dict[str, Any] = {"name": column.name, "type": column.type, "nullable": column.nullable}
    return values if column.categories is None else {**values, "categories": list(column.categories)}


def column(values: dict[str, Any]) -> Column:
    """The column that JSON values describe."""
    categories = values.get("categories")
    return Column(values["name"], values["type"], values["nullable"], None if categories is None else tuple(categories))


def _operation(values: dict[str, Any]) -> Operation:
    rest = dict(values)
    kind = OPERATIONS[rest.pop("do")]
    known = {field.name for field in fields(kind)}
    if unknown := rest.keys() - known:
        raise KeyError(min(unknown))
    made: Operation = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in rest.items()})
    return made
