"""The V1 protocol: `instances` are rows, as lists in the signature's order or as records by column name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from orchestrator.model.signature import (
    Array,
    Columns,
    InputError,
    Signature,
    columns_from_records,
    columns_from_rows,
    columns_from_tensors,
)
from orchestrator.serving import codec
from orchestrator.serving.codec import Content, RequestError


class _Request(msgspec.Struct):
    instances: list[Any]


# From here on, looking at columns whole pays for itself.
_MANY = 16
_NUMBERS = frozenset({int, float, type(None)})

_DECODER = msgspec.json.Decoder(_Request)


def decode(body: bytes, signature: Signature) -> tuple[Columns, int]:
    """The columns of a request and how many rows they have. Raises RequestError or signature.InputError."""
    rows = codec.read(_DECODER, body).instances
    if not rows:
        raise RequestError("instances is empty: send at least one row")
    kinds = set(map(type, rows))
    if len(rows) >= _MANY and (columns := _whole(rows, kinds, signature)) is not None:
        return columns, len(rows)
    if kinds == {dict}:
        return columns_from_records(signature, rows), len(rows)
    if kinds == {list}:
        return columns_from_rows(signature, rows), len(rows)
    if dict in kinds and list in kinds:
        raise RequestError("instances mixes lists and records: send one kind")
    if len(signature.inputs) == 1 and not kinds & {dict, list}:
        return columns_from_rows(signature, [[row] for row in rows]), len(rows)
    raise RequestError(
        "instances holds values that are not rows: send each row as a list or as a record by column name"
    )


def encode(predictions: list[Any]) -> Content:
    """The answer to a request."""
    return Content(codec.write({"predictions": predictions}))


def _whole(rows: list[Any], kinds: set[type], signature: Signature) -> Columns | None:
    """The columns of many good rows at a tenth of the cost; None when row by row is needed to say what is wrong."""
    names = [column.name for column in signature.inputs]
    if kinds == {list} and set(map(len, rows)) == {len(names)}:
        values = dict(zip(names, zip(*rows, strict=True), strict=True))
    elif kinds == {dict} and set(map(len, rows)) == {len(names)} and rows[0].keys() == set(names):
        try:
            values = {name: tuple(row[name] for row in rows) for name in names}
        except KeyError:
            return None
    else:
        return None
    try:
        return columns_from_tensors(signature, {name: _array(column) for name, column in values.items()})
    except (InputError, OverflowError):
        return None


def _array(values: Sequence[Any]) -> Array:
    kinds = set(map(type, values))
    if kinds <= _NUMBERS and kinds != {type(None)}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
