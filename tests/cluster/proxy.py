"""A TCP proxy before the API server that cuts connections: at random moments, for a while, or for good."""

from __future__ import annotations

import contextlib
import math
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable


class Proxy:
    """Listens on loopback and passes bytes on; `lives` says after how many bytes of an answer a connection is cut.

    After `left` bytes of all answers it is away.
    """

    def __init__(self, host: str, port: int, lives: Callable[[], int | None]) -> None:
        self.target = (host, port)
        self.lives = lives
        self.cut = 0
        self.is_away = False
        self.left: float = math.inf
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
                continue
            thread = threading.Thread(target=self._pass, args=(client,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _pass(self, client: socket.socket) -> None:
        left = self.lives()
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as server:
            chosen = selectors.DefaultSelector()
            chosen.register(client, selectors.EVENT_READ, server)
            chosen.register(server, selectors.EVENT_READ, client)
            with contextlib.closing(chosen):
                while not self.is_away:
                    for key, _ in chosen.select(0.1):
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        if key.fileobj is server:
                            self.left -= len(data)
                            self.is_away = self.is_away or self.left < 0
                        if key.fileobj is server and left is not None:
                            if left <= len(data):
                                key.data.sendall(data[:left])
                                self.cut += 1
                                return
                            left -= len(data)
                        key.data.sendall(data)

    def away(self, seconds: float) -> None:
        """Cut all there is, and take nothing for a while."""
        self.is_away = True
        time.sleep(seconds)
        self.is_away = False

    def close(self) -> None:
        self.is_away = True
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in self.threads:
            thread.join(5)


def random_lives(seed: int, low: int, high: int) -> Callable[[], int | None]:
    """Lengths of connections, the same for the same seed."""
    chosen = random.Random(seed)
    return lambda: chosen.randint(low, high)
