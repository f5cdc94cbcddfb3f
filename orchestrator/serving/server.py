"""The model server of a state folder: one per folder, on loopback unless told otherwise."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import place, voice
from orchestrator.serving.listening import listening
from orchestrator.serving.options import Options, is_loopback
from orchestrator.serving.tls import Certificate
from orchestrator.serving.tokens import Tokens

_log = logging.getLogger(__name__)


def serve(state: Path, options: Options | None = None) -> None:
    """Serve the declarations of `state` until SIGTERM or Ctrl-C; a detached server also ends when none is left.

    A fixed one ends with the reason, an OrchestratorError, when a declaration cannot be loaded: whoever started it, in
    a pod, sees an end sooner than an endpoint that is never ready.
    """
    state = state.absolute()
    options = options or Options()
    options.check()
    # Before anybody can connect: what is wrong with them is told at once.
    tokens = Tokens(options.token_file) if options.token_file else None
    certificate = Certificate(options.certificate, options.key) if options.certificate and options.key else None
    before = place.port_before(state)
    with place.held(state), listening(options, before) as listener:
        about = _about(listener, options)
        voice.speak()
        place.write(state, about)
        _say(about, state, options)
        if tokens is not None and tokens.is_open:
            _log.warning("%s can be read by others on this machine: chmod 600 it", options.token_file)
        try:
            failure = _run(state, options, tokens, certificate, listener)
        finally:
            place.forget(state)
            _log.info("stopped")
    if failure:
        raise OrchestratorError(failure)


def _about(listener: socket.socket, options: Options) -> place.Server:
    bound, number = listener.getsockname()[:2]
    return place.Server.at(
        bound,
        number,
        token_file=str(options.token_file.absolute()) if options.token_file else "",
        certificate=str(options.certificate.absolute()) if options.certificate else "",
    )


def _say(about: place.Server, state: Path, options: Options) -> None:
    processes = f", {options.workers} worker processes" if options.workers > 1 else ""
    stops = "" if options.detached else " (Ctrl-C stops)"
    _log.info("serving %s, declarations from %s%s%s", about.url, state, processes, stops)
    if is_loopback(about.host):
        return
    if options.token_file is None:
        _log.warning("%s can be reached from other machines, and asks nobody who they are", about.host)
    if options.certificate is None:
        _log.warning("%s can be reached from other machines, and nothing is encrypted here", about.host)


def _run(
    state: Path,
    options: Options,
    tokens: Tokens | None,
    certificate: Certificate | None,
    listener: socket.socket,
) -> str:
    """Answer until told to stop; what it failed for, or ""."""
    if options.workers > 1:
        from orchestrator.serving.supervisor import Supervisor

        supervisor = Supervisor(state, options, listener)
        supervisor.run()
        return supervisor.failure
    from orchestrator.serving import worker
    from orchestrator.serving.metrics import Metrics

    alone = worker.Worker(state, options, tokens, certificate, Metrics())
    worker.start(alone, listener)
    return alone.failure
