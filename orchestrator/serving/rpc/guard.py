"""Who may ask over gRPC, looked at before a message is read: it could be as large as the server takes any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import grpc
from grpc import aio

from orchestrator.serving.rpc import messages
from orchestrator.serving.tokens import Tokens

# What asks for them, a kubelet or a load balancer, has no token; strangers learn nothing but yes or no.
OPEN = frozenset(f"/{messages.SERVICE}/{name}" for name in ("ServerLive", "ServerReady"))
_NO_TOKEN = "this server asks for a token: send the metadata 'authorization: Bearer TOKEN'"  # noqa: S105

Refused = Callable[[int, str], None]
"""With the status that HTTP has for it, and the address of who asked."""


class Guard(aio.ServerInterceptor):  # type: ignore[misc]  # The package has no types.
    """Lets in calls that have one of the tokens."""

    def __init__(self, tokens: Tokens, refused: Refused) -> None:
        self._tokens = tokens
        self._refused = refused

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, or one that refuses it."""
        if call.method in OPEN or self._allows(call.invocation_metadata or ()):
            return await continuation(call)
        # Of streams: nothing of what is sent is read.
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    def _allows(self, metadata: Any) -> bool:
        said = next((value for key, value in metadata if key == "authorization"), "")
        return isinstance(said, str) and self._tokens.allows(said.encode("latin-1", "replace")) == "bearer"

    async def _refuse(self, _: Any, context: aio.ServicerContext[bytes, bytes]) -> None:
        self._refused(401, client(context.peer()))
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, _NO_TOKEN)


def client(peer: str) -> str:
    """The address in what gRPC calls who asks, such as ipv6:%5B::1%5D:1234."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")
