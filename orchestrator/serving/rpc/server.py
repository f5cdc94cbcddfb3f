"""A gRPC server on the event loop of the model server: who may ask, in which words errors are told, how it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import grpc
from grpc import aio

from orchestrator.errors import BackendError
from orchestrator.serving.codec import RequestError
from orchestrator.serving.options import Options
from orchestrator.serving.rpc import messages
from orchestrator.serving.rpc.service import Method, Service
from orchestrator.serving.tokens import Tokens

# What an endpoint allows is looked at afterwards; a message has to be in memory as a whole before.
LARGEST_MESSAGE = 256 * 1024 * 1024
_CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# What asks for them, a kubelet or a load balancer, has no token; strangers learn nothing but yes or no.
_OPEN = ("ServerLive", "ServerReady")
_NO_TOKEN = "this server asks for a token: send the metadata 'authorization: Bearer TOKEN'"  # noqa: S105
_log = logging.getLogger(__name__)


async def start(service: Service, options: Options, tokens: Tokens | None) -> aio.Server:
    """A server that listens where the options say. Raises BackendError."""
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", -1),
            # Several worker processes share a port; anybody else who has it already does not.
            ("grpc.so_reuseport", int(options.workers > 1)),
        ]
    )
    handlers = {name: _handler(name, method, tokens) for name, method in service.methods().items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"{host}:{options.grpc_port}"
    try:
        if options.certificate is not None and options.key is not None:
            pair = (options.key.read_bytes(), options.certificate.read_bytes())
            server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            server.add_insecure_port(address)
    except RuntimeError as error:
        hint = "give another --grpc-port"
        raise BackendError("model server", f"cannot listen on {address} for gRPC", hint=hint) from error
    await server.start()
    _log.info("gRPC at %s", address)
    return server


def _handler(name: str, method: Method, tokens: Tokens | None) -> Any:
    async def answer(body: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        try:
            if tokens is not None and name not in _OPEN:
                _check(headers, tokens)
            content, beside = await method(body, headers)
        except RequestError as error:
            code = _CODES.get(error.status, grpc.StatusCode.INTERNAL)
            await context.abort(code, error.message)
        except Exception:  # noqa: BLE001  Whatever it was, the client is told, and the others are served.
            _log.exception("%s failed", name)
            await context.abort(grpc.StatusCode.INTERNAL, "the server failed; its log says why")
        if beside:
            context.set_trailing_metadata(beside)
        return content

    return grpc.unary_unary_rpc_method_handler(answer)


def _check(headers: Mapping[str, str], tokens: Tokens) -> None:
    if tokens.allows(headers.get("authorization", "").encode("latin-1", "replace")) != "bearer":
        raise RequestError(_NO_TOKEN, status=401)
