"""TLS: the server's certificate, taken up anew when its file changes, and the trust of this machine in it."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import marks
from orchestrator.serving.marks import Mark

_log = logging.getLogger(__name__)


class Certificate:
    """A certificate with its key, as PEM in `pair`, and the context that servers accept connections with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises OrchestratorError when they cannot be used."""
        self._files = (certificate, key)
        self._marks = self._seen()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.pair = _load(self.context, certificate, key)

    def refresh(self) -> None:
        """New connections get what the files say now; what cannot be used changes nothing, and is complained about."""
        seen = self._seen()
        if seen == self._marks:
            return
        self._marks = seen
        try:
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *self._files)  # First elsewhere: a half would stay.
            self.pair = _load(self.context, *self._files)
        except OrchestratorError as error:
            _log.error("the certificate stays what it was: %s", error.message)
        else:
            _log.info("took up the certificate of %s", self._files[0])

    def _seen(self) -> tuple[Mark | None, ...]:
        return tuple(marks.of(file) for file in self._files)


def trusting(certificate: Path) -> ssl.SSLContext:
    """For a client on this machine: it trusts this one certificate, under whatever name the server is called."""
    try:
        # Told of a file it leaves out the authorities that the machine trusts.
        context = ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError) as error:
        raise OrchestratorError(f"the certificate {certificate} cannot be read: {_reason(error)}") from error
    context.check_hostname = False  # It is called by its address; the certificate itself is what is known.
    # It need not lead to an authority: it is in our hands.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Take both up; what is in the two files. Raises OrchestratorError."""
    content = _content(certificate), _content(key)

    def encrypted() -> str:
        raise OrchestratorError(
            f"the key {key} is protected by a password, and nobody is here to type it",
            hint=f"openssl pkey -in {key} -out plain.key; chmod 600 plain.key",
        )

    try:
        context.load_cert_chain(certificate, key, encrypted)
    except ssl.SSLError as error:
        message = f"{certificate} and {key} are no certificate and its key: {_reason(error)}"
        raise OrchestratorError(
            message, hint="both in PEM form, the certificate before those that signed it"
        ) from error
    return content


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise OrchestratorError(f"{file} cannot be read: {error.strerror}") from error


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or "neither is in PEM form"
    return str(reason).lower().replace("_", " ")
