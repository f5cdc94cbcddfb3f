"""What an endpoint of mode async promises: where results go, how long a request may take, and who is told."""

from __future__ import annotations

from pydantic import Field, field_validator

from orchestrator.serving import quantity
from orchestrator.serving.quantity import Size, Time
from orchestrator.source import Document


class Notify(Document):
    """Addresses that are sent a JSON message when a request succeeded, or failed."""

    success: str = ""
    failure: str = ""
    # A file whose content signs the messages, so that who gets one knows whom it is from.
    secret: str = ""

    @field_validator("success", "failure")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not an address of HTTP", "for example https://example.org/done")
        return url


class Asynchronous(Document):
    """Requests that are queued and answered into a file."""

    output: str = Field(min_length=1)
    failure: str = ""
    """By default beside the output."""
    inputs: tuple[str, ...] = ()
    """Prefixes of the URIs that a request may name; by default none, and requests carry their bodies."""
    timeout: Time = "15m"
    ttl: Time = "6h"
    workers: int = Field(default=1, ge=1, le=1000)
    body: Size = "1Gi"
    notify: Notify = Notify()

    @property
    def timeout_seconds(self) -> float:
        return quantity.seconds(self.timeout)

    @property
    def ttl_seconds(self) -> float:
        return quantity.seconds(self.ttl)

    @property
    def body_bytes(self) -> int:
        return quantity.size(self.body)
