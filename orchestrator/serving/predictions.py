"""Predictions over HTTP: a request's headers and body in; its answer, or what is wrong with it, out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.serving import binary, codec, explanation
from orchestrator.serving.answer import INFERENCE_HEADER, LONGEST_REQUEST_ID, REQUEST_HEADER, Answering
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
            exchange = await self.answering.respond(call, lambda limit: _body(request, said, limit))
        except RequestError as error:
            headers = {"content-type": "application/json", **_named(error.variant, said.get(REQUEST_HEADER, ""))}
            if error.status == 503:
                headers["retry-after"] = "1"
            elif error.status in (408, 413):
                headers["connection"] = "close"  # What is left of the body is not worth reading.
            return Response(codec.problem(error.message), error.status, headers)
        headers = {"content-type": exchange.response_type, **_named(exchange.variant, exchange.request_id)}
        if exchange.inference_id:
            headers[INFERENCE_HEADER] = exchange.inference_id
        if exchange.json_length is not None:
            headers[binary.HEADER] = str(exchange.json_length)
        return Response(exchange.response, exchange.status, headers)


def _named(variant: str, request: str) -> dict[str, str]:
    """Who answered which request, where that is known."""
    found = {VARIANT_HEADER: variant, REQUEST_HEADER: request if len(request) <= LONGEST_REQUEST_ID else ""}
    return {name: value for name, value in found.items() if value}


async def _body(request: Request, said: Mapping[str, str], limit: int) -> bytes:
    """The whole body, never more than `limit` bytes in memory."""
    encoding = said.get("content-encoding", "identity")
    if encoding != "identity":
        raise RequestError(f"the body is encoded as {encoding!r}: send it as it is", status=415)
    length = said.get("content-length", "")
    if length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        # Not request.stream(): a generator and its bookkeeping cost more than the few bytes of most requests.
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RequestError("the client went away", status=400)
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def _too_large(limit: int) -> RequestError:
    return RequestError(f"the body is larger than {limit:,} bytes", status=413)
