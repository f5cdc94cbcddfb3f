"""The socket a server listens on: a given port, or the first free one."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from orchestrator.errors import BackendError
from orchestrator.serving.options import Options

DEFAULT_PORT = 8800
_PORTS_TRIED = 100
_BACKLOG = 2048


@contextlib.contextmanager
def listening(options: Options, before: int | None = None) -> Iterator[socket.socket]:
    """A listening socket where the options say. Raises OrchestratorError when others could reach it unasked.

    `before` is the port of a server that was killed: what was pasted somewhere goes on working.
    """
    host, port = options.host, options.port
    free = dict.fromkeys([before or DEFAULT_PORT, *range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED)])
    tried = [port] if port is not None else [*free]
    for number in tried:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise BackendError("model server", f"cannot listen on {host!r}: {error.strerror}") from error
        with listener:
            options.check_reach(str(address[0]))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(address)
                listener.listen(_BACKLOG)
            except OSError as error:
                if number != tried[-1] and error.errno in (98, 48):  # EADDRINUSE of Linux and of macOS.
                    continue
                message = f"cannot listen on {host} port {number}: {os.strerror(error.errno or 0).lower()}"
                raise BackendError("model server", message, hint="give another --port, or none") from error
            listener.setblocking(False)
            yield listener
            return
