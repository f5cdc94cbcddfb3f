"""Predictions over HTTP: a request's headers and body in; its answer, or what is wrong with it, out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from orchestrator.serving import binary, codec, explanation
from orchestrator.serving.answer import REQUEST_HEADER, Answering
from orchestrator.serving.codec import RequestError
from orchestrator.serving.reply import Call
from orchestrator.serving.routing import VARIANT_HEADER

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers prediction requests of either protocol."""

    answering: Answering

    async def v1(self, request: Request) -> Response:
        return await self._answer(request, "v1")

    async def v2(self, request: Request) -> Response:
        return await self._answer(request, "v2")

    async def explain(self, request: Request) -> Response:
        return await self._answer(request, explanation.PROTOCOL)

    async def _answer(self, request: Request, protocol: str) -> Response:
        scope = request.scope
        path = scope["path_params"]
        said = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(path["name"], protocol, said, path.get("version", ""))
        try:
            exchange = await self.answering.respond(call, lambda limit: _body(request, limit))
        except RequestError as error:
            headers = {"content-type": "application/json"}
            if error.status == 503:
                headers["retry-after"] = "1"
            elif error.status in (408, 413):
                headers["connection"] = "close"  # What is left of the body is not worth reading.
            return Response(codec.problem(error.message), error.status, headers)
        headers = {
            "content-type": exchange.response_type,
            VARIANT_HEADER: exchange.variant,
            REQUEST_HEADER: exchange.request_id,
        }
        if exchange.json_length is not None:
            headers[binary.HEADER] = str(exchange.json_length)
        return Response(exchange.response, exchange.status, headers)


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
