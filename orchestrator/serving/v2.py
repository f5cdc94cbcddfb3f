"""The V2 protocol (Open Inference Protocol) in JSON: named tensors in, named tensors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.errors import did_you_mean
from orchestrator.model.signature import Array, Columns, Signature, columns_from_tensors
from orchestrator.serving import codec, tensors
from orchestrator.serving.codec import RequestError
from orchestrator.serving.tensors import Tensor


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_DECODER = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that fits the signature; `outputs` is empty when the client wants them all."""

    columns: Columns
    rows: int
    id: str | None
    outputs: tuple[str, ...]


def decode(body: bytes, signature: Signature) -> Request:
    """The request in `body`. Raises RequestError or signature.InputError."""
    message = codec.read(_DECODER, body)
    if not message.inputs:
        raise RequestError("inputs is empty: send one tensor per column, or one [rows, columns] tensor")
    arrays: dict[str, Array] = {}
    for tensor in message.inputs:
        if tensor.name in arrays:
            raise RequestError(f"tensor {tensor.name!r} is given twice")
        arrays[tensor.name] = tensors.array(tensor)
    _refuse_lone(arrays, signature)
    columns = columns_from_tensors(signature, arrays)
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise RequestError("the tensors have no rows: send at least one")
    return Request(columns, rows, message.id, tuple(output.name for output in message.outputs or ()))


def encode(model: str, version: str, id: str | None, outputs: dict[str, Array], wanted: tuple[str, ...]) -> bytes:
    """The answer to a request: the `wanted` outputs, or all. Raises RequestError for one that is not there."""
    for name in wanted:
        if name not in outputs:
            hint = did_you_mean(name, outputs)
            raise RequestError(f"there is no output {name!r}" + (f" ({hint})" if hint else ""))
    answer: dict[str, Any] = {"model_name": model, "model_version": version}
    if id is not None:
        answer["id"] = id
    answer["outputs"] = [tensors.output(name, outputs[name]) for name in wanted or outputs]
    return codec.write(answer)


def _refuse_lone(arrays: dict[str, Array], signature: Signature) -> None:
    """One tensor that is no column must hold them all; say what it would have to look like."""
    ((name, array), *more) = arrays.items()
    names = [column.name for column in signature.inputs]
    if more or name in names or name in signature.ignored:
        return
    if array.ndim == 2 and array.shape[1] == len(names):
        return
    listed = ", ".join(names)
    raise RequestError(
        f"tensor {name!r} is not a column, and its shape {list(array.shape)} is not [rows, {len(names)}]: "
        f"send one tensor per column ({listed}), or one [rows, {len(names)}] tensor in that order"
    )
