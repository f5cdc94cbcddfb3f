"""One prediction request, from its body to its answer: limits, a variant, the codec, the model. It knows no HTTP."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from orchestrator.model.signature import Columns
from orchestrator.serving import explanation, reply, routing
from orchestrator.serving.batches import Bounds, Manner, Outputs
from orchestrator.serving.codec import RequestError
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Hosted, Status, Variant
from orchestrator.serving.reply import Answered, Call
from orchestrator.serving.shadow import Shadows
from orchestrator.serving.work import EXPLAINING, SMALL_BODY, Work

# Names a request in logs; an answer repeats it, or says the one it was given here.
REQUEST_HEADER = "x-request-id"
# The client's name for a prediction, by which what truly happened is joined to it later.
INFERENCE_HEADER = "x-inference-id"
LONGEST_REQUEST_ID = 128
LONGEST_INFERENCE_ID = 64

# Reads the body, of at most so many bytes.
Read = Callable[[int], Awaitable[bytes]]


class _Late(NamedTuple):
    """What is told when time is up."""

    message: str
    status: int
    kind: str = ""


_LOADING = _Late("the model was not loaded", 503, "timeout")
_READING = _Late("the body did not arrive", 408)
_ANSWERING = _Late("the model did not answer", 504)


class _Place:
    """One of the places that an endpoint has for requests."""

    __slots__ = ("_host", "_status", "handed_over")

    def __init__(self, status: Status, host: Host) -> None:
        self._status, self._host = status, host
        self.handed_over = False  # To who leaves it when the work has ended.
        status.in_flight += 1
        host.metrics.in_flight(status.name, status.in_flight)

    def leave(self) -> None:
        status, host = self._status, self._host
        status.in_flight -= 1
        # The counts of an endpoint that was removed meanwhile are gone with it; another of its name has its own.
        if host.endpoints.get(status.name) is status:
            host.metrics.in_flight(status.name, status.in_flight)


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers prediction requests of every protocol."""

    host: Host
    work: Work
    shadows: Shadows = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shadows", Shadows(self.host.metrics))

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
            check(call.headers)
            variant = routing.chosen(endpoint, call.version, call.headers)
            exchange = await self._within_limits(call, read, endpoint, status, variant)
        except Exception as error:  # noqa: BLE001  A model may give what no protocol can say: that is counted, too.
            told = error if isinstance(error, RequestError) else reply.refused(call, variant, error)
            told.variant = variant.declared.name if variant else ""
            seconds = time.perf_counter() - began
            self._count(status, variant, call.protocol, told.status, seconds=seconds, kind=told.kind)
            raise told from (error.__cause__ if told is error else error)
        self._count(status, variant, call.protocol, exchange.status, seconds=exchange.seconds)
        if call.protocol == explanation.PROTOCOL:  # It is no prediction: nobody compares or keeps it.
            return exchange
        for observer in status.observers:
            observer(exchange)
        # As it is now: the request may have woken the models.
        if status.hosted is not None and status.hosted.shadow is not None:
            self.shadows.offer(status.hosted.shadow, call, exchange)
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
        place = _Place(status, self.host)
        status.used = time.monotonic()
        late = _READING
        try:
            async with asyncio.timeout(endpoint.seconds if call.timeout is None else call.timeout):
                if endpoint.asleep:
                    late = _LOADING
                    # Shielded: whoever gives up, others wait for the same.
                    endpoint = await asyncio.shield(asyncio.wrap_future(self.host.wake(status)))
                    variant = routing.again(endpoint, variant, call.version, call.headers)
                    late = _READING
                body = await read(endpoint.most_bytes)
                late = _ANSWERING
                answered = await self._answered(call, body, endpoint, variant, place)
        except TimeoutError:
            allowed = limits.timeout if call.timeout is None else f"{call.timeout:g} s"
            raise RequestError(f"{late.message} within {allowed}", status=late.status, kind=late.kind) from None
        finally:
            if not place.handed_over:
                place.leave()
        return _exchange(call, variant, body, answered, began=began, seconds=time.perf_counter() - started)

    async def _answered(self, call: Call, body: bytes, endpoint: Hosted, variant: Variant, place: _Place) -> Answered:
        if call.protocol == explanation.PROTOCOL:
            timings = self.host.metrics.timings(call.endpoint)
            place.handed_over = True
            explain = partial(explanation.whole, call, body, variant, timings, endpoint.seconds)
            threads = call.endpoint + EXPLAINING
            return await self.work.run(threads, explain, short=False, finished=place.leave)
        if endpoint.bounds is not None and not reply.in_bytes(call, variant):
            return await self._with_others(call, body, variant, endpoint.bounds)
        timings = self.host.metrics.timings(call.endpoint)
        # A program that came with its model may wait for whatever it likes, however quick it was so far.
        short = variant.respond is None and len(body) <= SMALL_BODY and variant.cost.is_short
        # The work may outlive its deadline, and leaves its place when it truly ends.
        place.handed_over = True
        whole = partial(reply.whole, call, body, variant, timings)
        return await self.work.run(call.endpoint, whole, short=short, finished=place.leave)

    async def _with_others(self, call: Call, body: bytes, variant: Variant, bounds: Bounds) -> Answered:
        """The answer when the model is called for several requests at once."""
        metrics = self.host.metrics
        began = time.perf_counter()
        if len(body) <= SMALL_BODY:
            asked = reply.decoded(call, body, variant)
        else:
            asked = await self.work.submit(call.endpoint, lambda: reply.decoded(call, body, variant))

        def predict(columns: Columns) -> Outputs:
            metrics.batch(call.endpoint, len(next(iter(columns.values()), ())))
            return variant.model.outputs(columns)

        manner = Manner(predict, partial(self.work.submit, call.endpoint), bounds)
        known = time.perf_counter()
        try:
            outputs = await variant.batches.outputs(asked.columns, asked.rows, manner)
        except RequestError:
            raise
        except Exception as error:  # Whatever a model does; the server goes on.
            raise reply.refused(call, variant, error) from error
        predicted = time.perf_counter()
        answered = reply.encoded(call, variant, asked, outputs)
        reply.observe(metrics.timings(call.endpoint), asked.rows, began, known, predicted)
        return answered


def check(headers: Mapping[str, str]) -> None:
    """Refuse what is no name of a prediction. Raises RequestError."""
    if len(headers.get(INFERENCE_HEADER, "")) > LONGEST_INFERENCE_ID:
        raise RequestError(f"{INFERENCE_HEADER} is longer than {LONGEST_INFERENCE_ID} characters")


def _exchange(
    call: Call, variant: Variant, body: bytes, answered: Answered, *, began: float, seconds: float
) -> Exchange:
    declared, said = variant.declared, call.headers
    response, outputs = answered.content, answered.outputs
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
        response.body,
        200,
        began,
        seconds,
        response.json_length,
        outputs,
    )
