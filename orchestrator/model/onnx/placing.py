"""Which operations of a transform are in the graph, and which few are done before it: the rule, and nothing of ONNX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.errors import OrchestratorError
from orchestrator.model import operation
from orchestrator.model.operation import Operation
from orchestrator.model.transform import Transform

# How a column is sent to the graph, by its type; integers and booleans are numbers, so that NaN can say "missing".
KINDS = {"number": "number", "integer": "number", "boolean": "number", "string": "text", "timestamp": "moment"}


@dataclass(frozen=True, slots=True)
class Split:
    """A transform in two: what is done to the columns of a request, and what the graph does with what comes of it."""

    before: tuple[Operation, ...]
    # The columns the graph takes, and how each is sent.
    tensors: tuple[tuple[str, str], ...]
    inside: tuple[Operation, ...]


def split(transform: Transform) -> Split:
    """Everything goes into the graph but casts that ONNX has no words for, and what leads to them."""
    done = transform.operations
    outside = _outside(done)
    before = tuple(one for index, one in enumerate(done) if index in outside)
    _refuse(before)
    kinds = {column.name: KINDS[column.type] for column in transform.inputs}
    for one in before:
        if isinstance(one, operation.Cast):
            kinds[one.column] = KINDS[one.type]
    inside = tuple(one for index, one in enumerate(done) if index not in outside)
    return Split(before, tuple(kinds.items()), inside)


def made(one: Operation) -> Iterable[str]:
    """The columns that stand in the place of the one it takes."""
    match one:
        case operation.Indicator():
            return (one.column, f"{one.column}={operation.MISSING}")
        case operation.OneHot():
            return one.names()
        case operation.Datetime():
            parts = [f"{one.column}.{part}" for part in one.parts]
            return [one.column, *parts] if one.keep else parts
        case operation.Drop():
            return ()
    return (one.column,)


def in_graph(one: Operation) -> bool:
    """Whether ONNX can say it: reading and writing text it cannot, nor the rounding of a number to a time."""
    if not isinstance(one, operation.Cast) or one.source == one.type:
        return True
    return one.source != "string" and one.type not in ("string", "timestamp")


def _outside(done: Sequence[Operation]) -> frozenset[int]:
    """From the end: an operation is outside when the graph cannot do it, or when one that is outside needs it."""
    needed: set[str] = set()
    found = set()
    for index in reversed(range(len(done))):
        if not in_graph(done[index]) or needed.intersection(made(done[index])):
            found.add(index)
            needed.add(done[index].column)
    return frozenset(found)


def _refuse(before: Iterable[Operation]) -> None:
    for one in before:
        if not isinstance(one, operation.Cast | operation.Impute):
            name = type(one).__name__.lower()
            raise OrchestratorError(
                f"the transform casts column {one.column!r} after `{name}`, which ONNX cannot express",
                hint="put casts from and to text first, or leave them to the data",
            )
