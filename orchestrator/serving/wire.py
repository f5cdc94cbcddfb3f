"""HTTP as it comes off the wire: a head that is too long or too slow is not waited for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
_log = logging.getLogger(__name__)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which would collect headers for as long as they come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since: float | None = time.monotonic()
        self.head_bytes = 0

    def on_message_begin(self) -> None:
        self.head_since = time.monotonic()
        self.head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_since = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.head_since is None:
            return
        self.head_bytes += len(data)
        if self.head_bytes > MOST_HEAD_BYTES:
            self.refuse(b"431 Request Header Fields Too Large", b"the headers are longer than 65,536 bytes")

    def refuse(self, status: bytes, why: bytes) -> None:
        """Answer what cannot become a request, and hang up."""
        if self.transport.is_closing():
            return
        body = b'{"error":"' + why + b'"}'
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()


def hurry(connections: Iterable[Any], now: float) -> None:
    """Hang up on connections that have not sent a whole head for too long."""
    for connection in list(connections):
        since = getattr(connection, "head_since", None)
        if since is not None and now - since > HEAD_SECONDS:
            connection.refuse(b"408 Request Timeout", b"the headers did not arrive within 30 seconds")


assert httptools  # noqa: S101  uvicorn's module imports without it, and fails later.
