"""The ways a prediction is asked for: each turns a body into columns, and the model's outputs into a body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from orchestrator.model.signature import Array, Columns, Signature
from orchestrator.serving import binary, v1, v2
from orchestrator.serving.codec import Content

Headers = Mapping[str, str]


class Asked(NamedTuple):
    """A request that fits the signature, and whatever its own protocol needs to answer it."""

    columns: Columns
    rows: int
    request: Any = None


class Codec(NamedTuple):
    """`decode` raises RequestError or signature.InputError; `encode` is given the endpoint's and the version's name."""

    decode: Callable[[bytes, Signature, Headers], Asked]
    encode: Callable[[str, str, Asked, dict[str, Array]], Content]
    content_type: str = "application/json"


def _decode_v1(body: bytes, signature: Signature, _: Headers) -> Asked:
    columns, rows = v1.decode(body, signature)
    return Asked(columns, rows)


def _encode_v1(_name: str, _version: str, _asked: Asked, outputs: dict[str, Array]) -> Content:
    return v1.encode(next(iter(outputs.values())).tolist())


def _decode_v2(body: bytes, signature: Signature, headers: Headers) -> Asked:
    request = v2.decode(body, signature, headers.get(binary.HEADER))
    return Asked(request.columns, request.rows, request)


def _encode_v2(name: str, version: str, asked: Asked, outputs: dict[str, Array]) -> Content:
    return v2.encode(name, version, asked.request, outputs)


_CODECS: Mapping[str, Codec] = {"v1": Codec(_decode_v1, _encode_v1), "v2": Codec(_decode_v2, _encode_v2)}


def codec(name: str) -> Codec:
    """The codec of a protocol, by the name that metrics and capture know it by: v1, v2 or grpc."""
    found = _CODECS.get(name)
    if found is None:
        from orchestrator.serving.rpc.codec import CODEC  # Its messages need protobuf.

        return CODEC
    return found
