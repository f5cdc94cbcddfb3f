"""The V1 protocol: `instances` are rows, as lists in the signature's order or as records by column name."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.model.signature import Columns, Signature, columns_from_records, columns_from_rows
from orchestrator.serving import codec
from orchestrator.serving.codec import RequestError


class _Request(msgspec.Struct):
    instances: list[Any]


_DECODER = msgspec.json.Decoder(_Request)


def decode(body: bytes, signature: Signature) -> tuple[Columns, int]:
    """The columns of a request and how many rows they have. Raises RequestError or signature.InputError."""
    rows = codec.read(_DECODER, body).instances
    if not rows:
        raise RequestError("instances is empty: send at least one row")
    kinds = set(map(type, rows))
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


def encode(predictions: list[Any]) -> bytes:
    """The answer to a request."""
    return codec.write({"predictions": predictions})
