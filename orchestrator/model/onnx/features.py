"""The operations of a transform as operators of ONNX: columns of a request in, the matrix of features out.

Numbers that go through the same operation are kept together as one tensor `[rows, columns]`: an operator costs more
than what it does to one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from orchestrator.model import operation
from orchestrator.model.onnx import moments
from orchestrator.model.onnx.graph import ML, Graph
from orchestrator.model.onnx.placing import Split
from orchestrator.model.onnx.runner import MISSING_MOMENT, MISSING_TEXT
from orchestrator.model.operation import Operation, Value

DTYPES = {"number": "float64", "text": "string", "moment": "int64"}

# A number no category is, which stands for a missing one where numbers are compared.
_NO_NUMBER = float(np.finfo(np.float64).min)
_TOGETHER = (operation.Impute, operation.Scale, operation.Clip)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column is: which tensor, which column of it (of how many), and whether number, text or moment."""

    tensor: str
    kind: str
    index: int = 0
    width: int = 1


@dataclass(frozen=True, slots=True)
class Features:
    """The matrix, and per strict operation a tensor `[rows, 1]` that is true where a value is unknown."""

    matrix: str
    unknown: tuple[str, ...]


def build(graph: Graph, split: Split, features: Sequence[str]) -> Features:
    """Add the inputs and the operations to the graph."""
    state = {name: Place(graph.input(name, DTYPES[kind]), kind) for name, kind in split.tensors}
    unknown: list[str] = []
    for group in _groups(split.inside, {name: place.kind for name, place in state.items()}):
        if len(group) > 1 or isinstance(group[0], _TOGETHER):
            _together(graph, state, group)
        else:
            _alone(graph, state, group[0], unknown)
    return Features(_joined(graph, [state[name] for name in features]), tuple(unknown))


def _groups(inside: Sequence[Operation], kinds: dict[str, str]) -> Iterator[list[Operation]]:
    """Runs of one operation on different columns of numbers; any other operation by itself."""
    group: list[Operation] = []
    for one in inside:
        fits = isinstance(one, _TOGETHER) and kinds.get(one.column, "number") == "number"
        if group and not (fits and type(one) is type(group[0]) and one.column not in {o.column for o in group}):
            yield group
            group = []
        group.append(one)
        if not fits:
            yield group
            group = []
        if isinstance(one, operation.Cast | operation.Ordinal | operation.Frequency):
            kinds[one.column] = "number"
    if group:
        yield group


def _together(graph: Graph, state: dict[str, Place], group: Sequence[Operation]) -> None:
    places = [state[one.column] for one in group]
    if places[0].kind == "text":
        (one,) = group
        assert isinstance(one, operation.Impute)  # noqa: S101  Nothing else is done to a text here.
        filled = graph.add("Where", _gone(graph, places[0]), graph.constant([[one.value]], "string"), places[0].tensor)
        state[one.column] = Place(filled, "text")
        return
    tensor = _applied(graph, _joined(graph, places), group)
    for index, one in enumerate(group):
        state[one.column] = Place(tensor, "number", index, len(group))


def _applied(graph: Graph, tensor: str, group: Sequence[Operation]) -> str:
    def row(values: list[float]) -> str:
        return graph.constant([values], "float64")

    if isinstance(group[0], operation.Impute):
        values = row([float(one.value) for one in group])  # type: ignore[union-attr]
        return graph.add("Where", graph.add("IsNaN", tensor), values, tensor)
    if isinstance(group[0], operation.Scale):
        shifted = graph.add("Sub", tensor, row([one.center for one in group]))  # type: ignore[union-attr]
        return graph.add("Div", shifted, row([one.scale for one in group]))  # type: ignore[union-attr]
    # Compared rather than clipped: NaN is neither below nor above, and stays.
    low = row([-np.inf if one.low is None else one.low for one in group])  # type: ignore[union-attr]
    high = row([np.inf if one.high is None else one.high for one in group])  # type: ignore[union-attr]
    raised = graph.add("Where", graph.add("Less", tensor, low), low, tensor)
    return graph.add("Where", graph.add("Greater", raised, high), high, raised)


def _alone(graph: Graph, state: dict[str, Place], one: Operation, unknown: list[str]) -> None:
    place = state.pop(one.column)
    match one:
        case operation.Drop():
            return
        case operation.Indicator():
            state[one.column] = place
            flag = graph.cast(_gone(graph, place), "float64")
            state[f"{one.column}={operation.MISSING}"] = Place(flag, "number")
        case operation.OneHot():
            position = _position(graph, place, (*one.categories, *one.rare))
            _unknown(graph, position, unknown, strict=one.strict)
            names = one.names()
            block = _indicators(graph, position, one)
            state.update({name: Place(block, "number", i, len(names)) for i, name in enumerate(names)})
        case operation.Ordinal() | operation.Frequency():
            position = _position(graph, place, one.categories)
            _unknown(graph, position, unknown, strict=one.strict)
            state[one.column] = Place(_coded(graph, place, position, one), "number")
        case operation.Cast():
            state[one.column] = Place(_cast(graph, place, one), place.kind if one.source == one.type else "number")
        case operation.Datetime():
            state.update({one.column: place} if one.keep else {})
            for name, tensor in moments.parts(graph, _tensor(graph, place), one.parts, MISSING_MOMENT).items():
                state[f"{one.column}.{name}"] = Place(tensor, "number")
        case _:
            raise AssertionError(one)


def _indicators(graph: Graph, position: str, one: operation.OneHot) -> str:
    size = len(one.categories)
    kept = len(one.names()) - one.other
    columns = [graph.add("Equal", position, graph.constant([[*range(kept)]], "int64"))] if kept else []
    if one.other:
        below = graph.add("Less", position, graph.constant([[0]], "int64"))
        above = graph.add("GreaterOrEqual", position, graph.constant([[size]], "int64"))
        columns.append(graph.add("Or", below, above))
    numbers = [graph.cast(each, "float64") for each in columns]
    return numbers[0] if len(numbers) == 1 else graph.add("Concat", *numbers, axis=1)


def _coded(graph: Graph, place: Place, position: str, one: operation.Ordinal | operation.Frequency) -> str:
    if isinstance(one, operation.Frequency):
        # Unknown is -1, and so the last of the shares.
        return graph.add("Gather", graph.constant([*one.shares, 0.0], "float64"), position)
    codes = graph.cast(position, "float64")
    if one.other:
        below = graph.add("Less", position, graph.constant([[0]], "int64"))
        codes = graph.add("Where", below, graph.constant([[len(one.categories)]], "float64"), codes)
    if None not in one.categories:
        codes = graph.add("Where", _gone(graph, place), graph.constant([[np.nan]], "float64"), codes)
    return codes


def _cast(graph: Graph, place: Place, one: operation.Cast) -> str:
    tensor = _tensor(graph, place)
    if one.source == one.type:
        return tensor
    if place.kind == "moment":
        seconds = graph.add("Div", graph.cast(tensor, "float64"), graph.constant(1e6, "float64"))
        return graph.add("Where", _gone(graph, place), graph.constant([[np.nan]], "float64"), seconds)
    zero = graph.constant(0.0, "float64")
    if one.type == "integer":
        return graph.add(
            "Where", graph.add("Less", tensor, zero), graph.add("Ceil", tensor), graph.add("Floor", tensor)
        )
    if one.type == "boolean":
        other = graph.cast(graph.add("Not", graph.add("Equal", tensor, zero)), "float64")
        return graph.add("Where", graph.add("IsNaN", tensor), tensor, other)
    return tensor


def _position(graph: Graph, place: Place, categories: Sequence[Value]) -> str:
    """The place of each value among the categories, -1 for one that is not there."""
    tensor = _tensor(graph, place)
    if not categories:
        nowhere = graph.add("Mul", graph.cast(_gone(graph, place), "int64"), graph.constant(0, "int64"))
        return graph.add("Sub", nowhere, graph.constant(1, "int64"))
    if place.kind == "text":
        keys = [MISSING_TEXT if category is None else str(category) for category in categories]
        return graph.add(
            "LabelEncoder",
            tensor,
            domain=ML,
            keys_strings=keys,
            values_int64s=list(range(len(keys))),
            default_int64=-1,
        )
    numbers = [_NO_NUMBER if category is None else float(category) for category in categories]
    present = graph.add("Where", _gone(graph, place), graph.constant([[_NO_NUMBER]], "float64"), tensor)
    same = graph.cast(graph.add("Equal", present, graph.constant([numbers], "float64")), "float64")
    counted = graph.constant([[float(number)] for number in range(1, len(numbers) + 1)], "float64")
    return graph.add("Sub", graph.cast(graph.add("MatMul", same, counted), "int64"), graph.constant(1, "int64"))


def _unknown(graph: Graph, position: str, unknown: list[str], *, strict: bool) -> None:
    if strict:
        unknown.append(graph.add("Less", position, graph.constant([[0]], "int64")))


def _gone(graph: Graph, place: Place) -> str:
    """Where a column has no value."""
    tensor = _tensor(graph, place)
    if place.kind == "number":
        return graph.add("IsNaN", tensor)
    if place.kind == "moment":
        return graph.add("Equal", tensor, graph.constant(MISSING_MOMENT, "int64"))
    # Texts are not compared in the opset that most runtimes read; they are looked up.
    found = graph.add(
        "LabelEncoder", tensor, domain=ML, keys_strings=[MISSING_TEXT], values_int64s=[1], default_int64=0
    )
    return graph.cast(found, "bool")


def _tensor(graph: Graph, place: Place) -> str:
    """A column as a tensor of its own."""
    return _joined(graph, [place])


def _joined(graph: Graph, places: Sequence[Place]) -> str:
    """Columns as one tensor, in their order: the tensors they are in beside each other, then the columns picked."""
    widths = {place.tensor: place.width for place in places}
    whole = next(iter(widths)) if len(widths) == 1 else graph.add("Concat", *widths, axis=1)
    starts = dict(zip(widths, accumulate(widths.values(), initial=0), strict=False))
    indices = [starts[place.tensor] + place.index for place in places]
    if indices == list(range(sum(widths.values()))):
        return whole
    return graph.add("Gather", whole, graph.constant(indices, "int64"), axis=1)
