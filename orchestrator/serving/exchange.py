"""One answered request: what came in, what went out, and which variant gave it. Whoever watches is told of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from orchestrator.model.signature import Array
from orchestrator.serving.declarations import Declaration


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, byte for byte, however they travelled."""

    endpoint: str
    variant: str
    model: str
    version: str
    protocol: str  # One that `protocols.codec` knows.
    request_id: str  # The header x-request-id, or made here.
    inference_id: str  # The header x-inference-id: the client's own name for this prediction, or "".
    request_type: str
    request: bytes
    response_type: str
    response: bytes
    status: int
    began: float  # Seconds since 1970.
    seconds: float
    # With binary tensors behind the JSON, how long the JSON is.
    json_length: int | None = None
    # What the model gave, as arrays; None when it answered in bytes of its own.
    outputs: Mapping[str, Array] | None = field(default=None, repr=False, compare=False)

    @property
    def at(self) -> datetime:
        """When the request began, in UTC."""
        return datetime.fromtimestamp(self.began, UTC)


# Called on the event loop after each answered prediction: it must never wait.
Observer = Callable[[Exchange], None]


class Watcher(Protocol):
    """Something that wants to see the exchanges of endpoints whose declaration says so, such as capture."""

    def attach(self, declaration: Declaration) -> Observer | None:
        """What to call for each exchange of this endpoint, or None. It may block: a thread calls it whenever the
        endpoint was declared (anew), always before the first exchange under that declaration."""
        ...

    def detach(self, name: str) -> None:
        """The endpoint is no longer served. It may block."""
        ...
