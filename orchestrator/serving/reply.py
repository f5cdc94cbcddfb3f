"""What a model makes of a body: through columns and a codec, or in bytes of its own."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.model.signature import Array, InputError
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.hosted import Variant
from orchestrator.serving.metrics import Timings
from orchestrator.serving.protocols import Asked, Headers, codec

JSON = "application/json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A request but for its body, which is only read once there is room for it."""

    endpoint: str
    protocol: str  # One that `protocols.codec` knows.
    headers: Headers  # Their names in lower case.
    version: str = ""
    timeout: float | None = None  # Seconds; None: what the endpoint's limits say.


class Answered(NamedTuple):
    """What came of a call."""

    content: Content
    content_type: str
    outputs: Mapping[str, Array] | None


def whole(call: Call, body: bytes, variant: Variant, timings: Timings) -> Answered:
    """The answer, in one go. Raises RequestError."""
    began = time.perf_counter()
    if in_bytes(call, variant):
        try:
            return through_bytes(call, body, variant)
        except RequestError:
            raise
        except Exception as error:  # Whatever a model does; the server goes on.
            raise refused(call, variant, error) from error
        finally:
            seconds = time.perf_counter() - began
            variant.cost.observe(seconds)
            timings.predict.observe(seconds)
    asked = decoded(call, body, variant)
    known = time.perf_counter()
    try:
        outputs = variant.model.outputs(asked.columns)
    except RequestError:
        raise
    except Exception as error:  # As above.
        raise refused(call, variant, error) from error
    finally:
        predicted = time.perf_counter()
        variant.cost.observe(predicted - known)
    answered = encoded(call, variant, asked, outputs)
    observe(timings, asked.rows, began, known, predicted)
    return answered


def in_bytes(call: Call, variant: Variant) -> bool:
    """Whether the model reads this body, and writes the answer, itself."""
    return variant.respond is not None and call.protocol == "v1"


def decoded(call: Call, body: bytes, variant: Variant) -> Asked:
    """The rows in the body. Raises RequestError."""
    if variant.respond is not None and not variant.model.signature.inputs:
        why = getattr(variant.model, "reason", "") or "the model takes bodies of its own"
        raise RequestError(f"{why}: POST what it takes to /v1/models/{call.endpoint}:predict")
    try:
        return codec(call.protocol).decode(body, variant.model.signature, call.headers)
    except InputError as error:
        raise RequestError(error.message) from None


def encoded(call: Call, variant: Variant, asked: Asked, outputs: dict[str, Array]) -> Answered:
    """The outputs as the protocol says them. Raises RequestError."""
    spoken = codec(call.protocol)
    content = spoken.encode(call.endpoint, variant.declared.version, asked, outputs)
    kind = spoken.content_type if content.json_length is None else "application/octet-stream"
    return Answered(content, kind, outputs)


def refused(call: Call, variant: Variant | None, error: Exception) -> RequestError:
    """What a client is told of an error in the model; what is not the client's fault is in the log, in full."""
    if isinstance(error, InputError):
        return RequestError(error.message)
    reference = uuid.uuid4().hex[:8]
    version = variant.declared.version if variant else "?"
    _log.error("%s version %s failed [%s]", call.endpoint, version, reference, exc_info=error)
    message = f"the model failed: {type(error).__name__} (reference {reference} in the server's log)"
    return RequestError(message, status=500)


def observe(timings: Timings, rows: int, began: float, decoded: float, predicted: float) -> None:
    """Count how long the parts of an answer took, which ends now."""
    timings.preprocess.observe(decoded - began)
    timings.predict.observe(predicted - decoded)
    timings.postprocess.observe(time.perf_counter() - predicted)
    timings.rows.observe(rows)


def through_bytes(call: Call, body: bytes, variant: Variant) -> Answered:
    """The answer of a model that reads bodies itself. Raises whatever that raises."""
    respond = variant.respond
    assert respond is not None  # noqa: S101  `in_bytes` was asked.
    answer, kind = respond(body, call.headers.get("content-type", JSON), call.headers.get("accept", "*/*"))
    return Answered(Content(answer), kind, None)
