"""Loading and unloading by request, as far as no client library goes: bodies that do not come, models that hang."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving import app, backends, declarations, repository
from orchestrator.serving.fleet import Alone
from orchestrator.serving.page import About
from orchestrator.serving.queue.queue import Queue

Declare = Callable[..., declarations.Declaration]


async def said(inside: Any, path: str, *messages: dict[str, Any]) -> tuple[int, dict[bytes, bytes], Any]:
    """What the application answers to a POST of which these are the pieces; after them nothing comes."""
    pieces = list(messages)
    sent: list[Any] = []

    async def receive() -> Any:
        if pieces:
            return pieces.pop(0)
        return await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    host = inside.host
    about = About("1", 1, False, 0.0)
    application = app.create(host, inside.answering.work, Alone(), Queue(inside.state, host.metrics), about)
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await application(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    ("then", "code", "error"),
    [((), 408, "the body did not arrive within 0.05 s"), (({"type": "http.disconnect"},), 400, "the client went away")],
)
def test_a_body_that_does_not_come_is_not_waited_for(
    core: Any, monkeypatch: pytest.MonkeyPatch, then: tuple[Any, ...], code: int, error: str
) -> None:
    monkeypatch.setattr(repository, "BODY_SECONDS", 0.05)
    first = {"type": "http.request", "body": b"{", "more_body": True}
    status, headers, content = asyncio.run(said(core(), "/v2/repository/index", first, *then))
    assert (status, content) == (code, {"error": error})
    assert (headers.get(b"connection") == b"close") == (code == 408)


def test_a_model_that_hangs_while_it_is_loaded_keeps_no_server_from_ending(
    core: Any, mass: Any, declaration: Declare
) -> None:
    hangs, may = threading.Event(), threading.Event()

    def load(path: Path, digest: str) -> Any:
        if inside.host.is_complete:
            hangs.set()
            may.wait(60)
        return backends.load(path, digest)

    inside = core(load=load)
    inside.declare(declaration("mass", mass))

    async def serve() -> None:
        body = {"type": "http.request", "body": b""}
        asked = asyncio.create_task(said(inside, "/v2/repository/models/mass/load", body))
        while not hangs.is_set():
            await asyncio.sleep(0.01)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked

    try:
        asyncio.run(serve())  # With the loop its threads are waited for.
        assert not may.is_set()
        loading = [each for each in threading.enumerate() if each.name.startswith("wishes")]
        assert len(loading) == 1, "it goes on, and nobody waits for it"
    finally:
        may.set()
