"""HTTP as it comes off the wire: headers that are too long, or too slow, are not waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
# A body in chunks of one byte each takes so many bytes of the wire for each of its own.
_CHUNKED = 8


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which would collect headers, and trailers behind a body, for as long as they come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since: float | None = time.monotonic()  # None once a whole head is there.
        self._began = False
        self._allowed = MOST_HEAD_BYTES

    def on_message_begin(self) -> None:
        self.head_since = time.monotonic()
        self._began = True
        self._allowed = MOST_HEAD_BYTES
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_since = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._allowed += _CHUNKED * len(body)
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        self._began = False
        super().data_received(data)
        if self._began:  # What came with the beginning of a request may be the rest of the one before.
            return
        self._allowed -= len(data)
        if self._allowed < 0:
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
