"""One line of a capture file: what was asked, what was answered, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from orchestrator.serving.exchange import Exchange
    from orchestrator.serving.traffic import Capture

Encoding = Literal["CSV", "JSON", "BASE64"]
_CSV = frozenset({"text/csv"})
_JSON = frozenset({"application/json", "application/jsonlines", "application/x-ndjson"})
# What a client says that did not think of it: curl's own for a body, or nothing.
_UNSAID = frozenset({"", "application/x-www-form-urlencoded"})
_ENCODER = msgspec.json.Encoder()


class _Side(msgspec.Struct):
    observedContentType: str  # noqa: N815  The format's own names, here and below.
    mode: Literal["INPUT", "OUTPUT"]
    data: str | bytes  # Bytes are written as base64.
    encoding: Encoding


class _Data(msgspec.Struct, omit_defaults=True):
    endpointInput: _Side | None = None  # noqa: N815
    endpointOutput: _Side | None = None  # noqa: N815


class _Event(msgspec.Struct, omit_defaults=True):
    eventId: str  # noqa: N815
    inferenceId: str | None = None  # noqa: N815
    inferenceTime: str = ""  # noqa: N815


class _Line(msgspec.Struct):
    captureData: _Data  # noqa: N815
    eventMetadata: _Event  # noqa: N815
    eventVersion: str = "0"  # noqa: N815


def of(exchange: Exchange, wanted: Capture) -> bytes:
    """The line of one exchange, with its end."""
    data = _Data(
        _side("INPUT", exchange.request_type, exchange.request) if wanted.inputs else None,
        _side("OUTPUT", exchange.response_type, exchange.response) if wanted.outputs else None,
    )
    event = _Event(exchange.request_id, exchange.inference_id or None, instant(int(exchange.began)))
    return _ENCODER.encode(_Line(data, event)) + b"\n"


@lru_cache(4)  # Many requests begin in the same second.
def instant(second: int) -> str:
    """A UTC time, as seconds since 1970, as the format writes it."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _side(mode: Literal["INPUT", "OUTPUT"], content_type: str, body: bytes) -> _Side:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _UNSAID and body[:1] == b"{" and body.rstrip()[-1:] == b"}":
        # The protocols take it for JSON whatever it is called; tensors behind it would be in the way of its end.
        kind = content_type = "application/json"
    encoding: Encoding = "CSV" if kind in _CSV else "JSON" if kind in _JSON or kind.endswith("+json") else "BASE64"
    if encoding != "BASE64":
        try:
            return _Side(content_type, mode, body.decode(), encoding)
        except UnicodeDecodeError:
            pass  # Text in no encoding that JSON knows is kept as the bytes it is.
    return _Side(content_type, mode, body, "BASE64")
