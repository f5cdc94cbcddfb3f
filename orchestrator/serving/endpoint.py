"""The endpoint file: the model versions behind one name, their shares of the traffic, and the limits they answer in."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from orchestrator import source
from orchestrator.source import Document, Source, Versioned

MAX_VARIANTS = 10
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(|k|M|G|T|Ki|Mi|Gi|Ti)B?")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}i": 1024**power for power, unit in enumerate("KMGT", start=1)
}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CPU = re.compile(r"[0-9]+(\.[0-9]+)?m?")
_ELSEWHERE = {
    "serverless": "a model that unloads when idle",
    "async": "a queue of requests",
    "batch": "predictions for a whole file",
}


def _named(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be a name in a URL and on a cluster",
            "lower-case letters, digits and '-', at most 63, beginning with a letter",
        )
    return text


def _text(value: Any) -> Any:
    """A quantity may be written as a bare number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is not a size", "for example 512Ki, 6Mi or 2Gi")
    return text


def _time(text: str) -> str:
    if not _TIME.fullmatch(text) or seconds(text) <= 0:
        raise ValueError(f"{text!r} is not a length of time", "for example 500ms, 30s or 2m")
    return text


def _cpu(text: str) -> str:
    if not _CPU.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount of CPU", "for example 2, 0.5 or 500m")
    return text


# A registered model, an alias of it, or one of its versions.
_MODEL = re.compile(r"(?:models:/)?[A-Za-z0-9_][A-Za-z0-9._-]*(?:@[A-Za-z0-9_][A-Za-z0-9_-]*|/[1-9]\d*)?")

Name = Annotated[str, AfterValidator(_named)]
Size = Annotated[str, BeforeValidator(_text), AfterValidator(_size)]
Time = Annotated[str, AfterValidator(_time)]
Cpu = Annotated[str, BeforeValidator(_text), AfterValidator(_cpu)]


class Metadata(Document):
    """The endpoint's name, which is also the model's name in every URL, and labels for whoever pays for it."""

    name: Name
    description: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class Variant(Document):
    """One model behind the endpoint: a registered model (its new version is what gets deployed) or a fixed version."""

    name: Name = "main"
    model: str = Field(min_length=1)
    weight: float = 1.0

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


class Scaling(Document):
    """How many replicas a cluster keeps; the embedded server is one process."""

    min: int = Field(default=1, ge=0)
    max: int = Field(default=1, ge=1)
    # How busy replicas are, in percent of their CPU, before there are more.
    target: int = Field(default=80, ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Scaling:
        if self.max < self.min:
            raise ValueError(f"scaling.max ({self.max}) is below scaling.min ({self.min})")
        return self


class Accelerator(Document):
    """GPUs for every replica."""

    type: str = "nvidia.com/gpu"
    count: int = Field(default=1, ge=1)
    product: str = ""


class Resources(Document):
    """What every replica is given on a cluster."""

    cpu: Cpu | None = None
    memory: Size | None = None
    accelerator: Accelerator | None = None


class Limits(Document):
    """What the server refuses: bodies that are too large (413), answers that take too long (504), a crowd (503)."""

    body: Size = "6Mi"
    timeout: Time = "60s"
    concurrency: int = Field(default=64, ge=1)

    @property
    def body_bytes(self) -> int:
        return size(self.body)

    @property
    def timeout_seconds(self) -> float:
        return seconds(self.timeout)


class Toleration(Document):
    """A taint that the replicas may be placed in spite of."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Placement(Document):
    """Where on a cluster the replicas may run."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()


class Endpoint(Versioned):
    """An endpoint file."""

    kind: Literal["Endpoint"]
    metadata: Metadata
    mode: str = "realtime"
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    limits: Limits = Limits()
    placement: Placement = Placement()

    @field_validator("mode")
    @classmethod
    def _honoured(cls, mode: str) -> str:
        if mode == "realtime":
            return mode
        if mode in _ELSEWHERE:
            raise ValueError(
                f"mode {mode!r} asks for {_ELSEWHERE[mode]}, and no server here keeps that promise",
                "write realtime: it answers each request at once",
            )
        raise ValueError(f"{mode!r} is not a mode", "write realtime: it answers each request at once")

    @field_validator("variants")
    @classmethod
    def _distinct(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two variants are named {twice!r}", "give each a name of its own")
        if not sum(variant.weight for variant in variants) > 0:
            raise ValueError("no variant takes any traffic", "give at least one a weight above 0")
        return variants


def read(path: Path) -> Endpoint:
    """The endpoint file at `path`. Raises PipelineError with the place of every problem."""
    return parse(source.read(path))


def parse(document: Source) -> Endpoint:
    """The endpoint file in `document`. Raises PipelineError."""
    return source.model(Endpoint, document)


def dump(endpoint: Endpoint) -> dict[str, Any]:
    """The file as plain data, every default written out; `source.model` takes it back."""
    return endpoint.model_dump(mode="json", by_alias=True)


def size(text: str) -> int:
    """ "6Mi" as a number of bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(float(match[1]) * _UNITS[match[2]])


def seconds(text: str) -> float:
    """ "500ms" as a number of seconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time")
    return float(match[1]) * _SECONDS[match[2]]
