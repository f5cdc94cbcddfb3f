"""The methods of the V2 service: each takes the bytes of a message and gives those of another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from orchestrator.serving import described, fleet, routing
from orchestrator.serving.answer import INFERENCE_HEADER, REQUEST_HEADER, Answering
from orchestrator.serving.codec import RequestError
from orchestrator.serving.fleet import Alone, Fleet
from orchestrator.serving.host import Host
from orchestrator.serving.reply import Call
from orchestrator.serving.routing import VARIANT_HEADER
from orchestrator.serving.rpc import codec, messages
from orchestrator.serving.traffic import Limits

Answer = tuple[bytes, tuple[tuple[str, str], ...]]
"""The message, and what is said beside it."""
Method = Callable[[bytes, Mapping[str, str]], Awaitable[Answer]]
_TYPE = "application/grpc"


@dataclass(frozen=True, slots=True)
class Service:
    """Answers by the endpoints of one server."""

    host: Host
    answering: Answering
    peers: Alone | Fleet
    version: str

    def methods(self) -> Mapping[str, Method]:
        """By the name that clients call them by."""
        return {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ServerMetadata": self._server,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model,
            "ModelInfer": self._infer,
        }

    async def _live(self, _: bytes, __: Mapping[str, str]) -> Answer:
        return _answer("ServerLiveResponse", live=True)

    async def _ready(self, _: bytes, __: Mapping[str, str]) -> Answer:
        return _answer("ServerReadyResponse", ready=fleet.readiness(self.host, self.peers.others())[0])

    async def _server(self, _: bytes, __: Mapping[str, str]) -> Answer:
        found = {"name": described.SERVER, "version": self.version, "extensions": described.EXTENSIONS}
        return _answer("ServerMetadataResponse", **found)

    async def _model_ready(self, body: bytes, _: Mapping[str, str]) -> Answer:
        asked = _read("ModelReadyRequest", body)
        try:
            endpoint = routing.ready(self.host, asked.name)
            if asked.version:
                routing.of_version(endpoint, asked.version)
        except RequestError as error:
            if error.status == 404:
                raise
            return _answer("ModelReadyResponse", ready=False)
        return _answer("ModelReadyResponse", ready=True)

    async def _model(self, body: bytes, _: Mapping[str, str]) -> Answer:
        asked = _read("ModelMetadataRequest", body)
        endpoint = routing.ready(self.host, asked.name)
        variant = routing.of_version(endpoint, asked.version) if asked.version else endpoint.main
        return _answer("ModelMetadataResponse", **described.model(endpoint, variant))

    async def _infer(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            asked = self._asked(body)
        except RequestError as error:
            self.host.metrics.request("", "", "", codec.PROTOCOL, error.status)
            raise

        async def read(limit: int) -> bytes:
            _check(body, limit)
            return body

        said = {**headers, "content-type": _TYPE}
        exchange = await self.answering.respond(Call(asked.model_name, codec.PROTOCOL, said, asked.model_version), read)
        beside = [(VARIANT_HEADER, exchange.variant), (REQUEST_HEADER, exchange.request_id)]
        if exchange.inference_id:
            beside.append((INFERENCE_HEADER, exchange.inference_id))
        return exchange.response, tuple(beside)

    def _asked(self, body: bytes) -> Any:
        """The message, unless it is larger than any endpoint takes one: read it takes many times its size."""
        served = [each.hosted.most_bytes for each in self.host.endpoints.values() if each.hosted is not None]
        _check(body, max(served, default=Limits().body_bytes))
        return codec.read(body)


def _answer(message: str, /, **values: Any) -> Answer:
    content: bytes = messages.kind(message)(**values).SerializeToString()
    return content, ()


def _read(name: str, body: bytes) -> Any:
    try:
        return messages.kind(name).FromString(body)
    except DecodeError:
        raise RequestError(f"the message is not a {name}") from None


def _check(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise RequestError(f"the message is larger than {limit:,} bytes", status=413)
