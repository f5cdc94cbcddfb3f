"""The V2 protocol (Open Inference Protocol): named tensors in, named tensors out, their content in JSON or binary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.errors import did_you_mean
from orchestrator.model.signature import Array, Columns, Signature, columns_from_tensors
from orchestrator.serving import binary, codec, tensors
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.tensors import Numbers, Tensor


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


class _Table(msgspec.Struct):
    """The request of most clients: flat tensors of numbers, read in one pass instead of two."""

    inputs: list[Numbers]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_DECODER = msgspec.json.Decoder(_Request)
_QUICK = msgspec.json.Decoder(_Table)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that fits the signature; `outputs` is empty when the client wants them all."""

    columns: Columns
    rows: int
    id: str | None = None
    outputs: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()  # The outputs wanted as bytes behind the JSON.
    all_binary: bool = False


def decode(body: bytes, signature: Signature, header: str | None = None) -> Request:
    """The request in `body`; `header` is the length of its JSON part. Raises RequestError or signature.InputError."""
    text, rest = binary.split(body, header)
    message = (_table(text) if header is None else None) or codec.read(_DECODER, text)
    arrays: dict[str, Array] = {}
    for tensor in message.inputs:
        if tensor.name in arrays:
            raise RequestError(f"tensor {tensor.name!r} is given twice")
        if isinstance(tensor, Numbers):
            arrays[tensor.name] = tensors.of_numbers(tensor)
            continue
        raw, rest = binary.take(tensor.name, tensor.parameters, rest)
        arrays[tensor.name] = tensors.array(tensor, raw)
    if len(rest):
        raise RequestError(f"the body has {len(rest)} bytes that belong to no tensor")
    columns, rows = columns_of(arrays, signature)
    asked = message.outputs or []
    return Request(
        columns,
        rows,
        message.id,
        tuple(output.name for output in asked),
        frozenset(output.name for output in asked if (output.parameters or {}).get("binary_data") is True),
        (message.parameters or {}).get("binary_data_output") is True,
    )


def columns_of(arrays: dict[str, Array], signature: Signature) -> tuple[Columns, int]:
    """Named tensors as the columns of a model, and the number of rows. Raises RequestError or signature.InputError."""
    if not arrays:
        raise RequestError("inputs is empty: send one tensor per column, or one [rows, columns] tensor")
    _refuse_lone(arrays, signature)
    columns = columns_from_tensors(signature, arrays)
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise RequestError("the tensors have no rows: send at least one")
    return columns, rows


def encode(model: str, version: str, request: Request, outputs: dict[str, Array]) -> Content:
    """The answer: the outputs that were asked for, or all. Raises RequestError for one that is not there."""
    check_outputs(request.outputs, outputs)
    answer: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id is not None:
        answer["id"] = request.id
    behind: list[bytes] = []
    told = answer["outputs"] = []
    for name in request.outputs or outputs:
        tensor = tensors.output(name, outputs[name])
        told.append(tensor)
        if request.all_binary or name in request.binary:
            behind.append(binary.content(outputs[name]))
            tensor["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            tensor["data"] = outputs[name].ravel().tolist()
    text = codec.write(answer)
    return Content(b"".join([text, *behind]), len(text)) if behind else Content(text)


def check_outputs(wanted: Iterable[str], outputs: Mapping[str, Array]) -> None:
    """Refuse to answer with an output that is not there. Raises RequestError."""
    for name in wanted:
        if name not in outputs:
            hint = did_you_mean(name, outputs)
            raise RequestError(f"there is no output {name!r}" + (f" ({hint})" if hint else ""))


def _table(text: bytes) -> _Table | None:
    """The request as flat tensors of numbers; None for any other, which is read by its datatypes, and refused there."""
    if b'"FP' not in text or b"binary_data_size" in text:
        return None
    try:
        found = _QUICK.decode(text)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors.
        return None
    return found if all(each.datatype in binary.FLOATS for each in found.inputs) else None


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
