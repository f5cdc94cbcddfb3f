"""The queue over HTTP: requests are taken at once, asked about, and cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.serving import answer, codec, routing
from orchestrator.serving.codec import RequestError
from orchestrator.serving.host import Host
from orchestrator.serving.queue import item, queue
from orchestrator.serving.queue.queue import Queue

INPUT_HEADER = "x-input-location"
# Chunks are written together, by a thread: a slow disk is not to keep the event loop.
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Routes:
    """The handlers."""

    host: Host
    queue: Queue

    def all(self) -> list[Route]:
        one = "/v1/models/{name}/async/{id}"
        return [
            Route("/v1/models/{name}:predictAsync", self.v1, methods=["POST"]),
            Route("/v2/models/{name}/inferAsync", self.v2, methods=["POST"]),
            Route("/v1/models/{name}/async", self.listed, methods=["GET"]),
            Route(one, self.status, methods=["GET"]),
            Route(one, self.cancel, methods=["DELETE"]),
        ]

    async def v1(self, request: Request) -> Response:
        return await self._taken(request, "v1")

    async def v2(self, request: Request) -> Response:
        return await self._taken(request, "v2")

    async def status(self, request: Request) -> Response:
        name, id = self._asked(request)
        return _json(item.told(await asyncio.to_thread(self.queue.find, name, id)))

    async def cancel(self, request: Request) -> Response:
        name, id = self._asked(request)
        found = await asyncio.to_thread(self.queue.cancel, name, id)
        if found.status in ("Completed", "Failed"):
            raise RequestError(f"request {id!r} is {found.status} already", status=409)
        return _json(item.told(found), 200 if found.status == "Cancelled" else 202)

    async def listed(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.queue.wanted(name)
        found = await asyncio.to_thread(self.queue.latest, name)
        return _json({"requests": [item.told(each) for each in found]})

    def _asked(self, request: Request) -> tuple[str, str]:
        name = request.path_params["name"]
        self.queue.wanted(name)
        return name, request.path_params["id"]

    async def _taken(self, request: Request, protocol: str) -> Response:
        name = request.path_params["name"]
        try:
            taken = await self._queued(request, name, protocol)
        except RequestError as error:
            status = self.host.endpoints.get(name)
            self.host.metrics.request(status.name if status else "", "", "", "async", error.status)
            # What is left of the body is not worth reading.
            headers = {"connection": "close"} if error.status in (408, 413) else {}
            return Response(codec.problem(error.message), error.status, headers, media_type="application/json")
        said = item.told(taken)
        told = {name: said[name] for name in ("InferenceId", "OutputLocation", "FailureLocation", "StatusLocation")}
        return Response(codec.write(told), 202, {"location": said["StatusLocation"]}, media_type="application/json")

    async def _queued(self, request: Request, name: str, protocol: str) -> item.Item:
        endpoint = routing.ready(self.host, name)
        wanted = self.queue.wanted(name)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RequestError("the body is encoded: send it as it is", status=415)
        answer.check(request.headers)
        routing.chosen(endpoint, "", request.headers)  # A variant that is not there is said now.
        await asyncio.to_thread(self.queue.check_room, name)
        id, input = queue.new_id(), request.headers.get(INPUT_HEADER, "")
        if input:
            await asyncio.to_thread(self.queue.check_input, input, wanted)
        silence = endpoint.declaration.spec.limits.timeout_seconds
        await _save(request, self.queue.body(id), limit=0 if input else wanted.body_bytes, silence=silence)
        return await asyncio.to_thread(self._add, name, protocol, request, id, input)

    def _add(self, name: str, protocol: str, request: Request, id: str, input: str) -> item.Item:
        try:
            return self.queue.add(name, protocol, request.headers, id=id, input=input)
        except BaseException:  # Whatever it is: nobody else knows of the file.
            self.queue.body(id).unlink(missing_ok=True)
            raise


async def _save(request: Request, path: Path, *, limit: int, silence: float) -> None:
    """Write the body to a file, no more than `limit` bytes of it; with a limit of 0 there must be none."""
    try:
        size = await _saved(request, path, limit, silence)
        if limit and not size:
            raise RequestError(f"the request has no body, and no header {INPUT_HEADER} that says where one is")  # noqa: TRY301
    except BaseException:  # Cancelled, too: nobody else knows of the file.
        path.unlink(missing_ok=True)
        raise


async def _saved(request: Request, path: Path, limit: int, silence: float) -> int:
    """The size of the body, now in a file."""
    said = request.headers.get("content-length", "")
    message = f"the body is larger than {limit:,} bytes" if limit else f"{INPUT_HEADER} says where it is: send no body"
    too_large = RequestError(message, status=413 if limit else 400)
    if said.isdigit() and int(said[:20]) > limit:
        raise too_large
    file = await asyncio.to_thread(_created, path)
    try:
        chunks: list[bytes] = []
        size = written = 0
        stream = request.stream().__aiter__()
        while True:
            try:
                async with asyncio.timeout(silence):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise RequestError(f"nothing of the body arrived for {silence:g} s", status=408) from None
            if chunk is not None:
                chunks.append(chunk)
                size += len(chunk)
            if size > limit:
                raise too_large
            if chunk is None or size - written >= _PIECE:
                await asyncio.to_thread(_write, file, chunks)
                chunks, written = [], size
            if chunk is None:
                return size
    except ClientDisconnect:
        raise RequestError("the client went away", status=400) from None
    finally:
        file.close()


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise RequestError(f"the server cannot keep the body: {error.strerror}", status=503) from error


def _write(file: BinaryIO, chunks: list[bytes]) -> None:
    try:
        file.writelines(chunks)
        file.flush()
    except OSError as error:
        raise RequestError(f"the server cannot keep the body: {error.strerror}", status=503) from error


def _json(value: object, status: int = 200) -> Response:
    return Response(codec.write(value), status, media_type="application/json")
