"""Tensors of gRPC messages and numpy arrays: content in typed lists, or as bytes beside the messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.model.signature import Array
from orchestrator.serving import binary, tensors
from orchestrator.serving.codec import RequestError

# Which list of a message holds the content of a datatype; FP16 travels as bytes only.
FIELDS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def arrays(message: Any) -> dict[str, Array]:
    """The inputs of a ModelInferRequest by name. Raises RequestError."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise RequestError(f"raw_input_contents has {len(raw)} parts for {len(message.inputs)} inputs: one for each")
    found: dict[str, Array] = {}
    for position, tensor in enumerate(message.inputs):
        if tensor.name in found:
            raise RequestError(f"tensor {tensor.name!r} is given twice")
        found[tensor.name] = _array(tensor, raw[position] if raw else None)
    return found


def _array(tensor: Any, raw: bytes | None) -> Array:
    shape = list(tensor.shape)
    tensors.check_datatype(tensor.name, tensor.datatype)
    tensors.check_shape(tensor.name, shape)
    if raw is not None:
        if tensor.HasField("contents"):
            raise RequestError(f"tensor {tensor.name!r} has contents, and raw_input_contents beside it")
        return binary.array(tensor.name, tensor.datatype, shape, memoryview(raw))
    if tensor.datatype not in FIELDS:
        raise RequestError(f"tensor {tensor.name!r} of datatype {tensor.datatype} travels in raw_input_contents only")
    wanted = FIELDS[tensor.datatype]
    others = [field.name for field, _ in tensor.contents.ListFields() if field.name != wanted]
    if others:
        raise RequestError(f"tensor {tensor.name!r} of datatype {tensor.datatype} has {others[0]}, not {wanted}")
    values = getattr(tensor.contents, wanted)
    if len(values) != math.prod(shape):
        message = f"tensor {tensor.name!r} has {len(values)} values, its shape {shape} takes {math.prod(shape)}"
        raise RequestError(message)
    return _packed(tensor, values).reshape(shape)


def _packed(tensor: Any, values: Any) -> Array:
    if tensor.datatype == "BYTES":
        return _texts(tensor.name, values)
    if tensor.datatype in binary.FLOATS:
        return np.array(values, dtype=np.float64)
    if tensor.datatype == "BOOL":
        return np.array(values, dtype=np.bool_)
    kind = binary.INTEGERS[tensor.datatype]
    limits = np.iinfo(kind)
    if values and not (limits.min <= min(values) and max(values) <= limits.max):
        raise RequestError(f"tensor {tensor.name!r} has a number that does not fit {tensor.datatype}")
    return np.array(values, dtype=kind)


def _texts(name: str, values: Any) -> Array:
    found = np.empty(len(values), dtype=object)
    try:
        found[:] = [value.decode() for value in values]
    except UnicodeDecodeError:
        raise RequestError(f"tensor {name!r} of datatype BYTES has a text that is not UTF-8") from None
    return found
