"""A gRPC server on the event loop of the model server: where it is, in which words errors are told, how it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from orchestrator.errors import BackendError
from orchestrator.serving.codec import RequestError
from orchestrator.serving.rpc import messages
from orchestrator.serving.rpc.guard import Guard
from orchestrator.serving.rpc.service import Method, Service
from orchestrator.serving.tls import Certificate

# What an endpoint allows is looked at afterwards; a message has to be in memory as a whole before.
LARGEST_MESSAGE = 256 * 1024 * 1024
_CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# Each endpoint has a limit of its own, which is looked at afterwards, too.
_MOST_CALLS = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and what it proves with that it is the one."""

    host: str  # As an address: a name may stand for several.
    port: int
    certificate: Certificate | None
    is_shared: bool


async def start(service: Service, place: Place, guard: Guard | None) -> aio.Server:
    """A server that listens there. Raises BackendError."""
    server = aio.server(
        interceptors=[guard] if guard else None,
        maximum_concurrent_rpcs=_MOST_CALLS,
        options=[
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", -1),
            # Several worker processes share a port; anybody else who has it already does not.
            ("grpc.so_reuseport", int(place.is_shared)),
        ],
    )
    handlers = {name: _handler(name, method) for name, method in service.methods().items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
    host = f"[{place.host}]" if ":" in place.host else place.host
    address = f"{host}:{place.port}"
    try:
        if place.certificate is not None:
            server.add_secure_port(address, _credentials(place.certificate))
        else:
            server.add_insecure_port(address)
    except RuntimeError as error:
        hint = "give another --grpc-port"
        raise BackendError("model server", f"cannot listen on {address} for gRPC", hint=hint) from error
    await server.start()
    _log.info("gRPC at %s", address)
    return server


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """What new connections are answered with: always what the certificate is by now."""
    told = certificate.pair

    def configuration(pair: tuple[bytes, bytes]) -> Any:
        chain, key = pair
        return grpc.ssl_server_certificate_configuration([(key, chain)])

    def fetch() -> Any:
        nonlocal told
        latest = certificate.pair
        if latest is told:
            return None
        told = latest
        return configuration(latest)

    return grpc.dynamic_ssl_server_credentials(configuration(told), fetch)


def _handler(name: str, method: Method) -> Any:
    async def answer(body: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        try:
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
