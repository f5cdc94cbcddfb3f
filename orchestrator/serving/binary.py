"""The binary extension of V2: the content of tensors behind the JSON, little endian, one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from orchestrator.model.signature import Array
from orchestrator.serving.codec import RequestError

HEADER = "inference-header-content-length"

INTEGERS = {f"{sign}INT{bits}": np.dtype(f"{sign}int{bits}".lower()) for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS = {f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)}
_TEXT_SIZE = 4  # Each text of a BYTES tensor comes after its length.


def split(body: bytes, header: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a request and what comes behind it; `header` says where the one ends."""
    if header is None:
        return body, memoryview(b"")
    if not (header.isascii() and header.isdigit() and len(header) < 20) or int(header) > len(body):
        raise RequestError(f"{HEADER} is {header[:40]!r}, which is not a length within the body of {len(body)} bytes")
    return body[: int(header)], memoryview(body)[int(header) :]


def take(name: str, parameters: dict[str, Any] | None, rest: memoryview) -> tuple[memoryview | None, memoryview]:
    """The bytes of one tensor, None when its content is in the JSON, and what is left for the others."""
    size = (parameters or {}).get("binary_data_size")
    if size is None:
        return None, rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise RequestError(
            f"tensor {name!r} has a binary_data_size that is not in the body, which has {len(rest)} bytes left"
        )
    return rest[:size], rest[size:]


def array(name: str, datatype: str, shape: list[int], raw: memoryview) -> Array:
    """The array that these bytes are. Raises RequestError when their number or content is not as declared."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return _texts(name, count, raw).reshape(shape)
    dtype = np.dtype(np.uint8) if datatype == "BOOL" else (INTEGERS | FLOATS)[datatype].newbyteorder("<")
    if len(raw) != count * dtype.itemsize:
        wanted = count * dtype.itemsize
        raise RequestError(f"tensor {name!r} has {len(raw)} bytes, its shape {shape} of {datatype} takes {wanted}")
    values: Array = np.frombuffer(raw, dtype).reshape(shape) if count else np.empty(shape, dtype)
    if datatype != "BOOL":
        return values
    if (values > 1).any():
        raise RequestError(f"tensor {name!r} of datatype BOOL has a byte that is neither 0 nor 1")
    return values.astype(np.bool_)


def content(values: Array) -> bytes:
    """The bytes of an array of an answer."""
    if values.dtype.kind != "O":
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    texts = [str(value).encode() for value in values.ravel()]
    return b"".join(len(text).to_bytes(_TEXT_SIZE, "little") + text for text in texts)


def _texts(name: str, count: int, raw: memoryview) -> Array:
    texts: list[str] = []
    at = 0
    while at + _TEXT_SIZE <= len(raw):
        size = int.from_bytes(raw[at : at + _TEXT_SIZE], "little")
        at += _TEXT_SIZE
        if at + size > len(raw):
            raise RequestError(f"tensor {name!r} has a text of {size} bytes where {len(raw) - at} are left")
        try:
            texts.append(str(raw[at : at + size], "utf-8"))
        except UnicodeDecodeError:
            raise RequestError(f"tensor {name!r} has a text that is not UTF-8") from None
        at += size
    if at != len(raw) or len(texts) != count:
        raise RequestError(f"tensor {name!r} has {len(texts)} texts in {len(raw)} bytes, its shape takes {count}")
    array = np.empty(count, dtype=object)
    array[:] = texts
    return array
