"""A server of sockets that answers one connection after the other, as it is told to: also wrongly, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest
import urllib3

from orchestrator.cluster.api import Api

Reply = bytes | None
"""What is sent back before the connection is closed; None closes it at once."""


def reply(code: int, body: object, *, headers: str = "", cut: int = 0) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {code} Words\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n".encode()
    return (head + raw)[: len(head) + len(raw) - cut]


class Server:
    """Answers one connection after the other with the next reply; the last is repeated."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with closing(connection):
                request = connection.recv(65536).decode(errors="replace")
                self.asked.append(request.partition(" HTTP/")[0])
                answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if answer is not None:
                    connection.sendall(answer)

    def close(self) -> None:
        self.listening.close()
        self.thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Api, Server]]]:
    started: list[tuple[Server, urllib3.PoolManager]] = []

    def start(*replies: Reply) -> tuple[Api, Server]:
        server, pool = Server(replies), urllib3.PoolManager()
        started.append((server, pool))
        return Api(server.url, "context test", pool, lambda: "Bearer t"), server

    yield start
    for server, pool in started:
        pool.clear()
        server.listening.shutdown(socket.SHUT_RDWR)
        server.close()


Serve = Callable[..., tuple[Api, Server]]
