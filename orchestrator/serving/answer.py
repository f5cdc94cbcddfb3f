"""One prediction request, from its body to its answer: limits, a variant, the codec, the model."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from orchestrator.model.signature import Array, InputError
from orchestrator.serving import binary, codec, v1, v2
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Hosted, Status, Variant
from orchestrator.serving.metrics import Timings
from orchestrator.serving.work import SMALL_BODY, Work

_log = logging.getLogger(__name__)
# In a request it asks for a variant; in an answer it names the one that gave it.
VARIANT_HEADER = "x-variant"

Protocol = Literal["v1", "v2"]


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers prediction requests of either protocol."""

    host: Host
    work: Work

    async def v1(self, request: Request) -> Response:
        return await self._answer(request, "v1")

    async def v2(self, request: Request) -> Response:
        return await self._answer(request, "v2")

    async def _answer(self, request: Request, protocol: Protocol) -> Response:
        name: str = request.path_params["name"]
        status = self.host.endpoints.get(name)
        variant: Variant | None = None
        code = 200
        headers = {"content-type": "application/json"}
        try:
            endpoint = ready(self.host, name)
            variant = _chosen(endpoint, request)
            content = await self._within_limits(request, endpoint, variant, protocol)
            headers[VARIANT_HEADER] = variant.declared.name
            if content.json_length is not None:
                headers |= {"content-type": "application/octet-stream", binary.HEADER: str(content.json_length)}
        except RequestError as error:
            code, content = error.status, Content(codec.problem(error.message))
            if code == 503:
                headers["retry-after"] = "1"
            elif code in (408, 413):
                headers["connection"] = "close"  # What is left of the body is not worth reading.
        self._count(status, variant, protocol, code)
        return Response(content.body, code, headers)

    def _count(self, status: Status | None, variant: Variant | None, protocol: Protocol, code: int) -> None:
        if status is not None:
            status.served += 1
            status.failed += code >= 500
        named = variant.declared if variant else None
        self.host.metrics.request(
            status.name if status else "", named.name if named else "", named.version if named else "", protocol, code
        )

    async def _within_limits(self, request: Request, endpoint: Hosted, variant: Variant, protocol: Protocol) -> Content:
        limits = endpoint.declaration.spec.limits
        status = self.host.endpoints[endpoint.declaration.name]
        if status.in_flight >= limits.concurrency:
            raise RequestError(f"{limits.concurrency} requests are being answered already: try again", status=503)
        release = self._admitted(status)
        reading = True
        try:
            async with asyncio.timeout(limits.timeout_seconds):
                body = await _body(request, limits.body_bytes)
                reading = False
                call = self._call(request, body, variant, protocol)
                short = len(body) <= SMALL_BODY and variant.cost.is_short
                handed_over, release = release, _nothing
                return await self.work.run(call, short=short, finished=handed_over)
        except TimeoutError:
            if reading:
                raise RequestError(f"the body did not arrive within {limits.timeout}", status=408) from None
            raise RequestError(f"the model did not answer within {limits.timeout}", status=504) from None
        finally:
            release()

    def _admitted(self, status: Status) -> Callable[[], None]:
        status.in_flight += 1
        self.host.metrics.in_flight(status.name, status.in_flight)

        def release() -> None:
            status.in_flight -= 1
            self.host.metrics.in_flight(status.name, status.in_flight)

        return release

    def _call(self, request: Request, body: bytes, variant: Variant, protocol: Protocol) -> Callable[[], Content]:
        name = request.path_params["name"]
        timings = self.host.metrics.timings(name)
        if protocol == "v1":
            return lambda: _respond_v1(body, variant, name, timings)
        header = request.headers.get(binary.HEADER)
        return lambda: _respond_v2(body, header, variant, name, timings)


def ready(host: Host, name: str) -> Hosted:
    """The endpoint of that name, loaded. Raises RequestError: 404 when unknown, 503 when it could not be loaded."""
    status = host.endpoints.get(name)
    if status is None:
        if not host.is_complete:
            raise RequestError("the server is loading its models: try again", status=503)
        known = ", ".join(sorted(host.endpoints))
        raise RequestError(f"there is no model {name!r}" + (f" (served: {known})" if known else ""), status=404)
    if status.hosted is None:
        raise RequestError(f"model {name!r} is not ready: {status.reason}", status=503)
    return status.hosted


def of_version(endpoint: Hosted, version: str) -> Variant:
    """The variant that serves a version. Raises RequestError."""
    variant = endpoint.of_version(version)
    if variant is None:
        served = ", ".join(variant.declared.version for variant in endpoint.variants)
        message = f"model {endpoint.declaration.name!r} has no version {version!r} here (served: {served})"
        raise RequestError(message, status=404)
    return variant


def _chosen(endpoint: Hosted, request: Request) -> Variant:
    """The variant the client wants, by version in the path or by name in a header; otherwise one by weight."""
    if version := request.path_params.get("version"):
        return of_version(endpoint, version)
    name = request.headers.get(VARIANT_HEADER)
    if name is None:
        return endpoint.pick()
    for variant in endpoint.variants:
        if variant.declared.name == name:
            return variant
    known = ", ".join(variant.declared.name for variant in endpoint.variants)
    raise RequestError(f"model {endpoint.declaration.name!r} has no variant {name!r} (known: {known})")


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, never more than `limit` bytes in memory."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise RequestError(f"the body is encoded as {encoding!r}: send it as it is", status=415)
    length = request.headers.get("content-length", "")
    too_large = RequestError(f"the body is larger than {limit:,} bytes", status=413)
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large
            chunks.append(chunk)
    except ClientDisconnect:
        raise RequestError("the client went away", status=400) from None
    return b"".join(chunks)


def _respond_v1(body: bytes, variant: Variant, name: str, timings: Timings) -> Content:
    began = time.perf_counter()
    try:
        columns, rows = v1.decode(body, variant.model.signature)
    except InputError as error:
        raise RequestError(error.message) from None
    decoded = time.perf_counter()
    outputs = _predicted(variant, name, lambda: variant.model.outputs(columns))
    predicted = time.perf_counter()
    content = v1.encode(next(iter(outputs.values())).tolist())
    _observe(timings, began, decoded, predicted, rows)
    return content


def _respond_v2(body: bytes, header: str | None, variant: Variant, name: str, timings: Timings) -> Content:
    began = time.perf_counter()
    try:
        request = v2.decode(body, variant.model.signature, header)
    except InputError as error:
        raise RequestError(error.message) from None
    decoded = time.perf_counter()
    outputs = _predicted(variant, name, lambda: variant.model.outputs(request.columns))
    predicted = time.perf_counter()
    content = v2.encode(name, variant.declared.version, request, outputs)
    _observe(timings, began, decoded, predicted, request.rows)
    return content


def _predicted(variant: Variant, name: str, predict: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    began = time.perf_counter()
    try:
        return predict()
    except InputError as error:
        raise RequestError(error.message) from None
    except Exception as error:  # Whatever a model does; the server goes on.
        reference = uuid.uuid4().hex[:8]
        _log.exception("%s version %s failed [%s]", name, variant.declared.version, reference)
        message = f"the model failed: {type(error).__name__} (reference {reference} in the server's log)"
        raise RequestError(message, status=500) from error
    finally:
        variant.cost.observe(time.perf_counter() - began)


def _observe(timings: Timings, began: float, decoded: float, predicted: float, rows: int) -> None:
    timings.preprocess.observe(decoded - began)
    timings.predict.observe(predicted - decoded)
    timings.postprocess.observe(time.perf_counter() - predicted)
    timings.rows.observe(rows)


def _nothing() -> None:
    """What is left to release once the work has taken over the place."""
