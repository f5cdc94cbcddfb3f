"""How a server of this machine is reached: the token it asks for, and the certificate it is known by.

Whoever looks for a server finds its URL, and passes that on; what else it takes is remembered here, by that URL.
"""

from __future__ import annotations

import shlex
import ssl
from pathlib import Path
from urllib import request as url_requests

from orchestrator.serving import tls, tokens
from orchestrator.serving.place import Server

_KNOWN: dict[str, Server] = {}


def remember(server: Server | None) -> Server | None:
    """The same server, from now on known by its URL."""
    if server is not None:
        _KNOWN[server.url] = server
    return server


def opener(url: str) -> url_requests.OpenerDirector:
    """What opens URLs of the server that this one is of. Raises OrchestratorError."""
    server = _of(url)
    # The server is on this machine: a proxy of the environment does not lead to it.
    handlers: list[url_requests.BaseHandler] = [url_requests.ProxyHandler({})]
    if server and server.certificate:
        handlers.append(url_requests.HTTPSHandler(context=_trusting(server.certificate)))
    return url_requests.build_opener(*handlers)


def request(url: str, body: bytes | None, headers: dict[str, str]) -> url_requests.Request:
    """A request to such a URL, with the token if one is asked for. Raises OrchestratorError."""
    message = url_requests.Request(url, body, headers)  # noqa: S310  Always of HTTP: `place` made the URL.
    server = _of(url)
    if server and server.token_file:
        # Should it ever be sent elsewhere, the token is not.
        message.add_unredirected_header("authorization", f"Bearer {tokens.first(Path(server.token_file))}")
    return message


def curl(url: str) -> str:
    """What else `curl` must be told to call the server, for a shell on this machine."""
    server = _of(url)
    if server is None:
        return ""
    trusted = f" --cacert {shlex.quote(server.certificate)}" if server.certificate else ""
    token = f"$(head -n 1 {shlex.quote(server.token_file)})"
    return trusted + (f' -H "Authorization: Bearer {token}"' if server.token_file else "")


def _of(url: str) -> Server | None:
    return _KNOWN.get("/".join(url.split("/", 3)[:3]))


def _trusting(certificate: str) -> ssl.SSLContext:
    return tls.trusting(Path(certificate))
