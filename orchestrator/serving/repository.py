"""The V2 protocol's repository: which models there are, and loading and unloading them by request."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.serving import codec, residence, routing
from orchestrator.serving.codec import RequestError
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Status
from orchestrator.serving.wishes import Wanted

_MOST_BYTES = 16 * 1024
BODY_SECONDS = 30.0


class _Index(msgspec.Struct):
    ready: bool = False


class _Load(msgspec.Struct):
    parameters: dict[str, Any] | None = None


_INDEX = msgspec.json.Decoder(_Index)
_LOAD = msgspec.json.Decoder(_Load)


def routes(host: Host) -> list[Route]:
    """What the server answers of this."""
    repository = Repository(host)
    model = "/v2/repository/models/{name}"
    return [
        Route("/v2/repository/index", repository.index, methods=["POST"]),
        Route(model + "/load", repository.load, methods=["POST"]),
        Route(model + "/unload", repository.unload, methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class Repository:
    """The declared endpoints as a repository of models."""

    host: Host
    # Its own thread: the loop's are waited for at the end, and a model that is being loaded cannot be stopped.
    _wishes: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "wishes"))

    async def index(self, request: Request) -> Response:
        asked = await _asked(request, _INDEX)
        entries = [entry for _, status in sorted(self.host.endpoints.items()) for entry in _entries(status)]
        if asked is not None and asked.ready:
            entries = [entry for entry in entries if entry["state"] == "READY"]
        return Response(codec.write(entries), media_type="application/json")

    async def load(self, request: Request) -> Response:
        asked = await _asked(request, _LOAD)
        if asked is not None and asked.parameters:
            given = ", ".join(sorted(asked.parameters))
            raise RequestError(f"a model is loaded as it was declared: parameters are not taken ({given})")
        return await self._wished(request, "loaded", "load")

    async def unload(self, request: Request) -> Response:
        await _asked(request, _LOAD)
        return await self._wished(request, "unloaded", "unload")

    async def _wished(self, request: Request, wanted: Wanted, verb: str) -> Response:
        name = request.path_params["name"]
        status = self.host.endpoints.get(name)
        if status is None:
            raise routing.unknown(self.host, name)
        await asyncio.get_running_loop().run_in_executor(self._wishes, self.host.wish, status, wanted)
        if status.reason and wanted == "loaded":
            raise RequestError(f"model {name!r} could not be loaded: {status.reason}", status=503)
        return Response(codec.write({"name": name, verb: True}), media_type="application/json")


def _entries(status: Status) -> list[dict[str, Any]]:
    if status.hosted is None:
        return [{"name": status.name, "version": "", "state": "UNAVAILABLE", "reason": status.reason}]
    state = "UNAVAILABLE" if status.unloaded else "READY"
    reason = residence.ABSENT.get(status.state, status.reason)
    versions = dict.fromkeys(variant.declared.version for variant in status.hosted.variants)
    return [{"name": status.name, "version": version, "state": state, "reason": reason} for version in versions]


async def _asked(request: Request, decoder: msgspec.json.Decoder[Any]) -> Any:
    """The body, which may be empty: then None. Raises RequestError."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise RequestError(f"the body is larger than {_MOST_BYTES:,} bytes", status=413)
    except TimeoutError:
        raise RequestError(f"the body did not arrive within {BODY_SECONDS:g} s", status=408) from None
    except ClientDisconnect:
        raise RequestError("the client went away") from None
    return codec.read(decoder, body) if body.strip() else None
