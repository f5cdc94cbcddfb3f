"""The tokens a server asks for. They come from a file, are never shown, and change when the file does."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import stat
from pathlib import Path
from typing import Literal

from orchestrator.errors import OrchestratorError
from orchestrator.serving import marks

SHORTEST = 16
_MOST_BYTES = 64 * 1024
_log = logging.getLogger(__name__)

# How a request said its token: a program by itself, or a browser that keeps sending what was typed into it once.
Manner = Literal["bearer", "basic"]


class Tokens:
    """What a request must have one of: the lines of a file, so that two are good while one takes over from another."""

    def __init__(self, file: Path) -> None:
        """Raises OrchestratorError when the file cannot be used."""
        self._file = file
        self._mark = marks.of(file)
        self._digests = _read(file)
        self._complaint = ""

    @property
    def is_open(self) -> bool:
        """Whether others on this machine may read them, too."""
        try:
            return bool(self._file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            return False

    def refresh(self) -> None:
        """Take up what the file says now. What cannot be used changes nothing, and is complained about once."""
        mark = marks.of(self._file)
        if mark == self._mark:
            return
        try:
            self._digests = _read(self._file)
        except OrchestratorError as error:
            if error.message != self._complaint:
                self._complaint = error.message
                _log.error("the tokens stay what they were: %s", error.message)
        else:
            self._complaint = ""
            self._mark = mark
            _log.info("took up the tokens of %s", self._file)

    def allows(self, authorization: bytes) -> Manner | None:
        """Whether the value of an Authorization header has a token, and in which manner."""
        scheme, _, rest = authorization.partition(b" ")
        match scheme.lower():
            case b"bearer":
                return "bearer" if self._has(rest.strip()) else None
            case b"basic":
                return "basic" if self._has(_password(rest.strip())) else None
        return None

    def _has(self, token: bytes) -> bool:
        digest = hashlib.sha256(token).digest()
        # How long it takes tells nobody how much of a token was right.
        return any(hmac.compare_digest(digest, each) for each in self._digests)


def first(file: Path) -> str:
    """A token to send. Raises OrchestratorError."""
    return _lines(file)[0]


def _read(file: Path) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(line.encode()).digest() for line in _lines(file))


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise OrchestratorError(f"the token file {file} cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise OrchestratorError(f"{file} is no token file: it is larger than {_MOST_BYTES:,} bytes")
    found: list[str] = []
    for number, raw in enumerate(content.splitlines(), start=1):
        line = raw.strip()
        if not line:
            continue
        if not all(0x21 <= byte <= 0x7E for byte in line):
            hint = "one token per line, of letters, digits and punctuation"
            raise OrchestratorError(f"{file}:{number}: a token has no spaces, and ASCII characters only", hint=hint)
        if len(line) < SHORTEST:
            message = f"{file}:{number}: a token of {len(line)} characters could be guessed"
            raise OrchestratorError(message, hint=f"at least {SHORTEST}, chosen by chance")
        found.append(line.decode("ascii"))
    if not found:
        raise OrchestratorError(f"the token file {file} is empty", hint="one token per line")
    return found


def _password(encoded: bytes) -> bytes:
    """The password of Basic credentials; the name that came with it may be anything."""
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
