"""V2 tensors and numpy arrays: datatype, shape and content agree, or the tensor is refused by its name."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from orchestrator.errors import did_you_mean
from orchestrator.model.signature import Array, Type
from orchestrator.serving import binary, codec
from orchestrator.serving.codec import RequestError

# Beyond these a shape is not a table, and its product alone could keep a server busy.
MAX_DIMENSIONS = 8
MAX_SIZE = 2**31 - 1
DATATYPES = ("BOOL", *binary.INTEGERS, *binary.FLOATS, "BYTES")

# How a column of a signature is told in the metadata of a model; a timestamp travels as ISO 8601 text.
OF_COLUMN: dict[Type, str] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "timestamp": "BYTES",
}


class Tensor(msgspec.Struct):
    """One input of a request as it was sent; `data` is decoded once the datatype says into what."""

    name: str
    datatype: str
    shape: list[int]
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: dict[str, Any] | None = None


class Numbers(msgspec.Struct):
    """One input of numbers in a flat list, read at once."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | None]
    parameters: dict[str, Any] | None = None


_ANY = msgspec.json.Decoder(list[Any])
_FLAT: dict[str, tuple[msgspec.json.Decoder[Any], Any]] = {
    **dict.fromkeys(binary.FLOATS, (msgspec.json.Decoder(list[float | None]), list[float | None])),
    **dict.fromkeys(binary.INTEGERS, (msgspec.json.Decoder(list[int | None]), list[int | None])),
    "BOOL": (msgspec.json.Decoder(list[bool | None]), list[bool | None]),
    "BYTES": (msgspec.json.Decoder(list[str | None]), list[str | None]),
}


def array(tensor: Tensor, raw: memoryview | None = None) -> Array:
    """The tensor as a numpy array of its shape, its content in JSON or in `raw`. Raises RequestError."""
    check_datatype(tensor.name, tensor.datatype)
    check_shape(tensor.name, tensor.shape)
    if raw is not None:
        if memoryview(tensor.data):
            raise RequestError(f"tensor {tensor.name!r} has both data and binary_data_size")
        return binary.array(tensor.name, tensor.datatype, tensor.shape, raw)
    if not memoryview(tensor.data):
        raise RequestError(f"tensor {tensor.name!r} has no data")
    return _shaped(tensor, _values(tensor))


def of_numbers(tensor: Numbers) -> Array:
    """The same of a tensor whose content was read with it. Raises RequestError."""
    check_shape(tensor.name, tensor.shape)
    return _shaped(tensor, tensor.data)


def numbers(values: list[float | None]) -> Array:
    """Numbers as an array, NaN where there is none."""
    try:
        return np.fromiter(values, np.float64, len(values))
    except TypeError:  # A missing one; knowing of none beforehand makes the usual case half as long.
        return np.array(values, dtype=np.float64)


def output(name: str, values: Array) -> dict[str, Any]:
    """An array as an output tensor of an answer; its content is still to be added."""
    return {"name": name, "shape": list(values.shape), "datatype": datatype(values)}


def datatype(values: Array) -> str:
    """The protocol's name for the type of an array."""
    kind = values.dtype.kind
    if kind == "f":
        return f"FP{values.dtype.itemsize * 8}"
    if kind in "iu":
        return f"{'U' if kind == 'u' else ''}INT{values.dtype.itemsize * 8}"
    return "BOOL" if kind == "b" else "BYTES"


def _shaped(tensor: Tensor | Numbers, values: list[Any]) -> Array:
    wanted = math.prod(tensor.shape)
    if len(values) != wanted:
        raise RequestError(f"tensor {tensor.name!r} has {len(values)} values, its shape {tensor.shape} takes {wanted}")
    return _packed(tensor, values).reshape(tensor.shape)


def check_datatype(name: str, given: str) -> None:
    """Refuse a type that the protocol does not know. Raises RequestError."""
    if given not in DATATYPES:
        hint = did_you_mean(given, DATATYPES) or "known: " + ", ".join(DATATYPES)
        raise RequestError(f"tensor {name!r} has an unknown datatype {given!r} ({hint})")


def check_shape(name: str, shape: list[int]) -> None:
    """Refuse what is the shape of no table. Raises RequestError."""
    if len(shape) > MAX_DIMENSIONS:
        message = f"tensor {name!r} has {len(shape)} dimensions; at most {MAX_DIMENSIONS} are taken"
        raise RequestError(message)
    for size in shape:
        if size < 0:
            raise RequestError(f"tensor {name!r} has a negative dimension in its shape")
        if size > MAX_SIZE:
            raise RequestError(f"tensor {name!r} has a dimension of more than {MAX_SIZE}")
    # Without content it would be an array all the same, and numpy makes none that is larger than the memory can be.
    if 0 in shape and math.prod(size for size in shape if size) > MAX_SIZE:
        raise RequestError(f"tensor {name!r} has a shape of more than {MAX_SIZE} values, but for a dimension of 0")


def _values(tensor: Tensor) -> list[Any]:
    decoder, flat = _FLAT[tensor.datatype]
    what = f"tensor {tensor.name!r} of datatype {tensor.datatype}"
    try:
        values: list[Any] = codec.read(decoder, tensor.data, what)
    except RequestError as error:
        if len(tensor.shape) < 2:
            raise
        nested = _flattened(codec.read(_ANY, tensor.data, what), tensor.shape)
        if nested is None:
            raise RequestError(
                f"{what}: its data is neither flat nor nested as its shape {tensor.shape} says"
            ) from error
        try:
            values = msgspec.convert(nested, flat, strict=True)
        except msgspec.ValidationError:
            raise error from None
    return values


def _flattened(nested: list[Any], shape: list[int]) -> list[Any] | None:
    """Lists within lists, one level per dimension, as one list; None when a level does not have its length."""
    level: list[Any] = nested
    if len(level) != shape[0]:
        return None
    for size in shape[1:]:
        if any(type(inner) is not list or len(inner) != size for inner in level):
            return None
        level = [value for inner in level for value in inner]
    return level


def _packed(tensor: Tensor | Numbers, values: list[Any]) -> Array:
    if tensor.datatype in binary.FLOATS:
        array = numbers(values)
        if tensor.datatype != "FP64" and array.size:
            largest = np.finfo(binary.FLOATS[tensor.datatype]).max
            # Kept in double precision: a client that writes FP32 and 39.1 means 39.1.
            if (np.abs(array) > largest).any():
                raise RequestError(f"tensor {tensor.name!r} has a number that does not fit {tensor.datatype}")
        return array
    if tensor.datatype in binary.INTEGERS:
        return _integers(tensor, values)
    if tensor.datatype == "BOOL" and None not in values:
        return np.array(values, dtype=np.bool_)
    packed = np.empty(len(values), dtype=object)
    packed[:] = values
    return packed


def _integers(tensor: Tensor | Numbers, values: list[Any]) -> Array:
    limits = np.iinfo(binary.INTEGERS[tensor.datatype])
    present = [value for value in values if value is not None]
    if present and not (limits.min <= min(present) and max(present) <= limits.max):
        raise RequestError(f"tensor {tensor.name!r} has a number that does not fit {tensor.datatype}")
    if len(present) < len(values):
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=binary.INTEGERS[tensor.datatype])
