"""A ModelInferRequest to columns, and outputs to a ModelInferResponse, as bytes: what every client reads."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from orchestrator.model.signature import Array, Signature
from orchestrator.serving import binary, v2
from orchestrator.serving import tensors as http_tensors
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.protocols import Asked, Codec, Headers
from orchestrator.serving.rpc import messages, tensors

PROTOCOL = "grpc"


def read(body: bytes) -> Any:
    """The message in a body. Raises RequestError."""
    try:
        return messages.InferRequest.FromString(body)
    except DecodeError:
        raise RequestError("the message is not a ModelInferRequest") from None


def _decode(body: bytes, signature: Signature, _: Headers) -> Asked:
    message = read(body)
    columns, rows = v2.columns_of(tensors.arrays(message), signature)
    return Asked(columns, rows, message)


def _encode(name: str, version: str, asked: Asked, outputs: dict[str, Array]) -> Content:
    message = messages.InferResponse(model_name=name, model_version=version, id=asked.request.id)
    wanted = [each.name for each in asked.request.outputs]
    v2.check_outputs(wanted, outputs)
    for each in wanted or outputs:
        values = outputs[each]
        message.outputs.add(name=each, datatype=http_tensors.datatype(values), shape=values.shape)
        message.raw_output_contents.append(binary.content(values))
    return Content(message.SerializeToString())


CODEC = Codec(_decode, _encode, "application/grpc")
