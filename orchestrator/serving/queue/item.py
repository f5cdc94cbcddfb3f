"""A queued request: what is asked, where the answer goes, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from orchestrator.stores import objects

Status = Literal["Queued", "InProgress", "Completed", "Failed", "Cancelled"]
OPEN: tuple[Status, ...] = ("Queued", "InProgress")
TRIES = 3
"""How often a request is begun whose answer is cut short by something else than the model: a kill, a lost disk."""


@dataclass(frozen=True, slots=True)
class Item:
    """One request. Times are seconds since 1970."""

    id: str
    endpoint: str
    protocol: str
    headers: Mapping[str, str]
    input: str  # The URI to read; "" when the body came with the request.
    output: str
    failure: str
    received: float
    expires: float
    timeout: float
    status: Status = "Queued"
    tries: int = 0
    after: float = 0.0  # Not to be begun before.
    cancel: bool = False
    reason: str = ""
    content_type: str = ""
    began: float = 0.0
    finished: float = 0.0

    @property
    def inference(self) -> str:
        """What the client called it; by default its id."""
        return self.headers.get("x-inference-id") or self.id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of answering an item."""

    status: Status
    reason: str = ""
    content_type: str = ""
    code: int = 200
    variant: str = ""
    version: str = ""
    retry: bool = False  # Something else than the model failed: another try may do.


def told(item: Item) -> dict[str, Any]:
    """The item as its client is told of it."""
    plain = {
        "InferenceId": item.inference,
        "Status": item.status,
        "FailureReason": item.reason,
        "InputLocation": objects.shown(item.input),
        "OutputLocation": objects.shown(item.output),
        "FailureLocation": objects.shown(item.failure),
        "ReceivedTime": instant(item.received),
        "ExpiresTime": instant(item.expires) if item.status == "Queued" else "",
        "StartTime": instant(item.began) if item.began else "",
        "EndTime": instant(item.finished) if item.finished else "",
        "StatusLocation": path(item.endpoint, item.id),
    }
    return {name: value for name, value in plain.items() if value}


def path(endpoint: str, id: str) -> str:
    """Where a client asks for the status of a request."""
    return f"/v1/models/{endpoint}/async/{id}"


def instant(at: float) -> str:
    """A time as notifications write it: UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
