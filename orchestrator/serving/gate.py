"""Who is let in before anything else happens: who has a token, and no page of another site in between."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orchestrator.serving import codec
from orchestrator.serving.tokens import Tokens

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# What asks for them, a kubelet or a load balancer, has no token; strangers learn nothing but yes or no.
OPEN = frozenset({"/v2/health/live", "/v2/health/ready", "/ping"})
STRANGER = "orchestrator.stranger"
"""In the scope of a request for something open, without a token."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOKED_AT = frozenset({b"authorization", b"host", b"origin", b"sec-fetch-site", b"accept"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal(method: str, headers: dict[bytes, bytes], tokens: Tokens | None) -> Refusal | None:
    """Why this request is not let in, or None. Without tokens the server is on loopback."""
    if tokens is None:
        host = headers.get(b"host", b"")
        if not _is_this_machine(host):
            shown = host[:200].decode("latin-1")
            return Refusal(421, f"this server answers to the names of this machine, not to {shown!r}; {_WAY_OUT}")
    else:
        manner = tokens.allows(headers.get(b"authorization", b""))
        if manner is None:
            return Refusal(401, _NO_TOKEN, (*_asking(headers),))
        if manner == "bearer":  # A page of another site cannot know it.
            return None
    if method not in _SAFE and _is_foreign(headers):
        return Refusal(403, "a page of another site may not send requests here")
    return None


@dataclass(slots=True)
class Gate:
    """The application behind it sees only requests that were let in."""

    application: ASGIApp
    tokens: Tokens | None
    refused: Callable[[int, str], None]  # With the status, and the address of who asked.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _LOOKED_AT:
                headers.setdefault(name, value)
        found = refusal(scope["method"], headers, self.tokens)
        if found is None:
            await self.application(scope, receive, send)
        elif scope["path"] in OPEN and found.status == 401:
            scope[STRANGER] = True
            await self.application(scope, receive, send)
        else:
            client = scope.get("client")
            self.refused(found.status, client[0] if client else "")
            await _refuse(found, send)


async def _refuse(found: Refusal, send: Any) -> None:
    body = codec.problem(found.message)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # Whatever body comes with it is not read.
        (b"connection", b"close"),
        *found.headers,
    ]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _asking(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """A browser asks its user for a password, which may be the token; programs are told how it is sent."""
    if b"text/html" in headers.get(b"accept", b""):
        return [(b"www-authenticate", b'Basic realm="model server (the token is the password)", charset="UTF-8"')]
    return [(b"www-authenticate", b'Bearer realm="model server"')]


@lru_cache(maxsize=64)  # Parsing an address takes longer than all the rest, and clients say the same one.
def _is_this_machine(host: bytes) -> bool:
    """Whether the name cannot be one that somebody made lead here: those have a dot."""
    name = host.rpartition(b":")[0] if host.rpartition(b":")[2].isdigit() else host
    if b"." not in name and b":" not in name:
        return True
    text = name.strip(b"[]").decode("latin-1").lower().rstrip(".")
    if text.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page of another site; programs say nothing of that kind."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b"")


_WAY_OUT = "behind a proxy that keeps the name, start it with --token-file, or with --insecure"
_NO_TOKEN = "this server asks for a token: send the header 'Authorization: Bearer TOKEN'"  # noqa: S105
