"""How many replicas of an endpoint a cluster keeps, what each is given, and where it may be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from orchestrator.serving import quantity
from orchestrator.serving.quantity import Cpu, Size, Time
from orchestrator.source import Document


class Scaling(Document):
    """How many replicas a cluster keeps; the embedded server is one process."""

    min: int = Field(default=1, ge=0)
    max: int = Field(default=1, ge=1)
    # How busy replicas are before there are more: percent of their CPU or memory, or requests (at once, or a second).
    target: int | None = Field(default=None, ge=1)
    metric: Literal["cpu", "memory", "concurrency", "rps"] | None = None
    # Who scales on a cluster. What is left out of the three follows the mode: see `serving.kserve.scaling`.
    by: Literal["hpa", "keda", "knative"] | None = None
    # After this long without a request a serverless model is unloaded; the next request loads it.
    idle: Time = "10m"

    @model_validator(mode="after")
    def _ordered(self) -> Scaling:
        if self.max < self.min:
            raise ValueError(f"scaling.max ({self.max}) is below scaling.min ({self.min})")
        metric = self.metric or ("concurrency" if self.by == "knative" else "cpu")
        if metric in ("cpu", "memory") and (self.target or 0) > 100:
            raise ValueError(f"scaling.target is a percentage of {metric}, not {self.target}", "1 to 100")
        return self

    @property
    def idle_seconds(self) -> float:
        return quantity.seconds(self.idle)


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
