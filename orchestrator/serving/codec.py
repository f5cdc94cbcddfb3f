"""What V1 and V2 requests have in common: JSON in, JSON out, and one error for everything the client did wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from orchestrator.errors import OrchestratorError

T = TypeVar("T")


class RequestError(OrchestratorError):
    """A request that cannot be answered; `status` is the HTTP status it gets and the message its `error`.

    `kind` is what metrics count it as, where the status says too little; `variant` is the one that was asked, if any.
    """

    def __init__(self, message: str, *, status: int = 400, hint: str = "", kind: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.kind = kind
        self.variant = ""


@dataclass(frozen=True, slots=True)
class Content:
    """The body of an answer; with binary tensors behind the JSON it says how long the JSON is."""

    body: bytes
    json_length: int | None = None


def read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, what: str = "the body") -> T:
    """The typed value of JSON `body`. Raises RequestError, and nothing else, on any input."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError(f"{what} does not fit: {_in_words(error)}") from None
    except RecursionError:
        raise RequestError(f"{what} is nested too deeply") from None
    except ValueError as error:  # msgspec's DecodeError is one; so are text that is not UTF-8 and absurd numbers.
        detail = (
            "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).removeprefix("JSON is malformed: ")
        )
        raise RequestError(f"{what} is not valid JSON: {detail}") from None


def write(value: Any) -> bytes:
    """The JSON of an answer; numbers that JSON cannot say (NaN, infinity) become null."""
    return _ENCODER.encode(value)


def problem(message: str) -> bytes:
    """The body of every answer that is an error."""
    return _ENCODER.encode({"error": message})


_ENCODER = msgspec.json.Encoder()


def _in_words(error: msgspec.ValidationError) -> str:
    """msgspec's finding with its place first: "inputs[0].shape: expected `array`, got `int`"."""
    message, _, place = str(error).partition(" - at `$")
    message = message[:1].lower() + message[1:]
    place = place.rstrip("`").lstrip(".")
    return f"{place}: {message}" if place else message
