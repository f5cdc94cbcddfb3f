"""One prediction request, from its body to its answer: limits, a variant, the codec, the model. It knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from orchestrator.model.signature import Array, InputError
from orchestrator.serving import routing
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Hosted, Status, Variant
from orchestrator.serving.metrics import Timings
from orchestrator.serving.protocols import CODECS, Codec
from orchestrator.serving.work import SMALL_BODY, Work

T = TypeVar("T")

_log = logging.getLogger(__name__)
# Names a request in logs; an answer repeats it, or says the one it was given here.
REQUEST_HEADER = "x-request-id"
# The client's name for a prediction, by which what truly happened is joined to it later.
INFERENCE_HEADER = "x-inference-id"
LONGEST_REQUEST_ID = 128
LONGEST_INFERENCE_ID = 64

# Reads the body, of at most so many bytes.
Read = Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """A request but for its body, which is only read once there is room for it."""

    endpoint: str
    protocol: str  # One of `protocols.CODECS`.
    headers: Mapping[str, str]  # Their names in lower case.
    version: str = ""
    timeout: float | None = None  # Seconds; None: what the endpoint's limits say.


class Answered(NamedTuple):
    """What came of a call."""

    content: Content
    content_type: str
    outputs: Mapping[str, Array] | None


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers prediction requests of every protocol."""

    host: Host
    work: Work

    async def answer(
        self,
        name: str,
        protocol: str,
        body: bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        version: str = "",
        timeout: float | None = None,
    ) -> Exchange:
        """The answer to a body that is here already, of whatever size; header names are in lower case.

        Raises RequestError, with the HTTP status that says best what it is.
        """

        async def read(_: int) -> bytes:
            return body

        return await self.respond(Call(name, protocol, headers, version, timeout), read)

    async def respond(self, call: Call, read: Read) -> Exchange:
        """The answer to a call whose body is still to be read. Raises RequestError."""
        status = self.host.endpoints.get(call.endpoint)
        variant: Variant | None = None
        began = time.perf_counter()
        try:
            endpoint, status = routing.served(self.host, call.endpoint)
            variant = routing.chosen(endpoint, call.version, call.headers)
            exchange = await self._within_limits(call, read, endpoint, status, variant)
        except RequestError as error:
            self._count(
                status, variant, call.protocol, error.status, seconds=time.perf_counter() - began, kind=error.kind
            )
            raise
        self._count(status, variant, call.protocol, exchange.status, seconds=exchange.seconds)
        for observer in status.observers:
            observer(exchange)
        return exchange

    def _count(
        self,
        status: Status | None,
        variant: Variant | None,
        protocol: str,
        code: int,
        *,
        seconds: float,
        kind: str = "",
    ) -> None:
        if status is not None:
            status.served += 1
            status.failed += code >= 500
        named = variant.declared if variant else None
        self.host.metrics.request(
            status.name if status else "",
            named.name if named else "",
            named.version if named else "",
            protocol,
            code,
            seconds=seconds,
            kind=kind,
        )

    async def _within_limits(
        self, call: Call, read: Read, endpoint: Hosted, status: Status, variant: Variant
    ) -> Exchange:
        limits = endpoint.declaration.spec.limits
        if status.in_flight >= limits.concurrency:
            message = f"{limits.concurrency} requests are being answered already: try again"
            raise RequestError(message, status=503, kind="overloaded")
        began, started = time.time(), time.perf_counter()
        release = self._admitted(status)
        seconds = limits.timeout_seconds if call.timeout is None else call.timeout
        reading = True
        try:
            async with asyncio.timeout(seconds):
                body = await read(limits.body_bytes)
                reading = False
                short = len(body) <= SMALL_BODY and variant.cost.is_short
                work = self._work(call, body, variant)
                handed_over, release = release, _nothing
                answered = await self.work.run(work, short=short, finished=handed_over)
        except TimeoutError:
            if reading:
                raise RequestError(f"the body did not arrive within {limits.timeout}", status=408) from None
            allowed = limits.timeout if call.timeout is None else f"{seconds:g} s"
            raise RequestError(f"the model did not answer within {allowed}", status=504) from None
        finally:
            release()
        return _exchange(call, variant, body, answered, began=began, seconds=time.perf_counter() - started)

    def _admitted(self, status: Status) -> Callable[[], None]:
        status.in_flight += 1
        self.host.metrics.in_flight(status.name, status.in_flight)

        def release() -> None:
            status.in_flight -= 1
            self.host.metrics.in_flight(status.name, status.in_flight)

        return release

    def _work(self, call: Call, body: bytes, variant: Variant) -> Callable[[], Answered]:
        if variant.respond is not None and call.protocol == "v1":
            return lambda: _in_bytes(call, body, variant)
        codec = CODECS[call.protocol]
        timings = self.host.metrics.timings(call.endpoint)
        return lambda: _in_columns(call, codec, body, variant, timings)


def _exchange(
    call: Call, variant: Variant, body: bytes, answered: Answered, *, began: float, seconds: float
) -> Exchange:
    declared, said = variant.declared, call.headers
    request_id = said.get(REQUEST_HEADER, "")
    if not request_id or len(request_id) > LONGEST_REQUEST_ID:
        request_id = f"{random.getrandbits(96):024x}"
    return Exchange(
        call.endpoint,
        declared.name,
        declared.model,
        declared.version,
        call.protocol,
        request_id,
        said.get(INFERENCE_HEADER, ""),
        said.get("content-type", "application/json"),
        body,
        answered.content_type,
        answered.content.body,
        200,
        began,
        seconds,
        answered.content.json_length,
        answered.outputs,
    )


def _in_columns(call: Call, codec: Codec, body: bytes, variant: Variant, timings: Timings) -> Answered:
    """The way of a model that takes columns."""
    began = time.perf_counter()
    try:
        asked = codec.decode(body, variant.model.signature, call.headers)
    except InputError as error:
        raise RequestError(error.message) from None
    decoded = time.perf_counter()
    outputs = _guarded(call, variant, lambda: variant.model.outputs(asked.columns))
    predicted = time.perf_counter()
    content = codec.encode(call.endpoint, variant.declared.version, asked, outputs)
    timings.preprocess.observe(decoded - began)
    timings.predict.observe(predicted - decoded)
    timings.postprocess.observe(time.perf_counter() - predicted)
    timings.rows.observe(asked.rows)
    return Answered(content, "application/json" if content.json_length is None else "application/octet-stream", outputs)


def _in_bytes(call: Call, body: bytes, variant: Variant) -> Answered:
    """The way of a model that reads bodies and writes answers itself."""
    respond = variant.respond
    assert respond is not None  # noqa: S101  Asked before.
    content_type = call.headers.get("content-type", "application/json")
    accept = call.headers.get("accept", "*/*")
    answer, kind = _guarded(call, variant, lambda: respond(body, content_type, accept))
    return Answered(Content(answer), kind, None)


def _guarded(call: Call, variant: Variant, predict: Callable[[], T]) -> T:
    """What the model gives; whatever it raises becomes an answer."""
    began = time.perf_counter()
    try:
        return predict()
    except InputError as error:
        raise RequestError(error.message) from None
    except RequestError:
        raise
    except Exception as error:  # Whatever a model does; the server goes on.
        reference = uuid.uuid4().hex[:8]
        _log.exception("%s version %s failed [%s]", call.endpoint, variant.declared.version, reference)
        message = f"the model failed: {type(error).__name__} (reference {reference} in the server's log)"
        raise RequestError(message, status=500) from error
    finally:
        variant.cost.observe(time.perf_counter() - began)


def _nothing() -> None:
    """What is left to release once the work has taken over the place."""
