"""Which models take which requests of an endpoint, within which limits, and what is kept of the requests."""

from __future__ import annotations

import math
import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from orchestrator.serving import quantity
from orchestrator.serving.quantity import Name, Size, Time
from orchestrator.source import Document

# A registered model, an alias of it, or one of its versions.
_MODEL = re.compile(r"(?:models:/)?[A-Za-z0-9_][A-Za-z0-9._-]*(?:@[A-Za-z0-9_][A-Za-z0-9_-]*|/[1-9]\d*)?")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# What proves who a client is. The queue keeps the value of the routing key on its disk until a request is answered.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
# The forms of a model: as it was trained, or converted to ONNX.
Format = Literal["native", "onnx"]


class Variant(Document):
    """One model behind the endpoint: a registered model (its new version is what gets deployed) or a fixed version."""

    name: Name = "main"
    model: str = Field(min_length=1)
    format: Format = "native"
    # Percent of the requests that it answers, too, unseen by the client: to be compared, and discarded.
    shadow: float | None = Field(default=None, gt=0, le=100)
    # A shadow takes no traffic of its own, so that nobody needs to say so.
    weight: float = Field(default_factory=lambda before: 1.0 if before.get("shadow") is None else 0.0)

    @field_validator("model")
    @classmethod
    def _names_a_model(cls, model: str) -> str:
        if _MODEL.fullmatch(model) is None:
            hint = "write penguins, penguins@champion or penguins/3"
            raise ValueError(f"{model!r} names neither a registered model nor a version of one", hint)
        return model

    @field_validator("weight")
    @classmethod
    def _positive(cls, weight: float) -> float:
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(
                f"a weight is a share of the traffic, not {weight:g}", "0 or more; shares are weight / sum"
            )
        return weight

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Variant:
        if self.shadow is not None and self.weight:
            raise ValueError("a shadow takes no share of the traffic", "leave out its weight, or its shadow")
        return self


class Routing(Document):
    """What keeps a client with one variant: requests with the same value of this header go to the same one."""

    key: str

    @field_validator("key")
    @classmethod
    def _is_a_header(cls, key: str) -> str:
        if not _HEADER.fullmatch(key):
            raise ValueError(f"{key!r} is not the name of a header", "for example x-customer")
        if key.lower() in _SECRET:
            raise ValueError(f"{key!r} holds a secret", "name a header that says who the client is, such as x-customer")
        return key.lower()


class Limits(Document):
    """What the server refuses: bodies that are too large (413), answers that take too long (504), a crowd (503)."""

    body: Size = "6Mi"
    timeout: Time = "60s"
    concurrency: int = Field(default=64, ge=1)

    @property
    def body_bytes(self) -> int:
        return quantity.size(self.body)

    @property
    def timeout_seconds(self) -> float:
        return quantity.seconds(self.timeout)


class Batching(Document):
    """Requests that arrive close to each other are one call of the model: at most so many rows, waiting so long."""

    rows: int = Field(default=32, ge=2, le=100_000)
    delay: Time = "5ms"

    @property
    def delay_seconds(self) -> float:
        return quantity.seconds(self.delay)


class Capture(Document):
    """Requests and answers kept as JSON Lines, for monitoring: where, how many in a hundred, and how much at most."""

    to: str = Field(min_length=1)
    sample: float = Field(default=20.0, gt=0, le=100)
    inputs: bool = True
    outputs: bool = True
    disk: Size = "1Gi"

    @model_validator(mode="after")
    def _something(self) -> Capture:
        if not (self.inputs or self.outputs):
            raise ValueError("nothing would be captured", "leave out inputs: false or outputs: false, or the section")
        return self

    @property
    def disk_bytes(self) -> int:
        return quantity.size(self.disk)
