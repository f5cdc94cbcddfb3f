"""What a task needs of the machine it runs on: CPUs, memory, devices, and which machines will do."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from orchestrator.ir import placement
from orchestrator.pipeline import quantity
from orchestrator.pipeline.forms import FILLED, ClassName, Cpu, Labels, Memory, ResourceName, filled
from orchestrator.pipeline.shorthand import Shorthand
from orchestrator.source import Document


class CpuAmount(Shorthand):
    """CPUs: a plain amount is both what is asked for and the most that is given."""

    both: Cpu | None = Field(None, exclude=True)
    request: Cpu | None = None
    limit: Cpu | None = None

    SHORT: ClassVar[str] = "both"

    @model_validator(mode="after")
    def _ordered(self) -> CpuAmount:
        if self.request and self.limit and quantity.cores(str(self.request)) > quantity.cores(str(self.limit)):
            raise ValueError(f"the request {self.request} is more than the limit {self.limit}")
        return self


class MemoryAmount(Shorthand):
    """Memory: a plain amount is both what is asked for and the most that is given."""

    both: Memory | None = Field(None, exclude=True)
    request: Memory | None = None
    limit: Memory | None = None

    SHORT: ClassVar[str] = "both"

    @model_validator(mode="after")
    def _ordered(self) -> MemoryAmount:
        if self.request and self.limit and quantity.gigabytes(str(self.request)) > quantity.gigabytes(str(self.limit)):
            raise ValueError(f"the request {self.request} is more than the limit {self.limit}")
        return self


class Accelerator(Document):
    """GPUs and the like: the resource's name, how many, and which product of it."""

    type: ResourceName = placement.GPU
    count: Annotated[int, Field(ge=1)] = 1
    product: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Accelerator:
        if self.product and not placement.product_label(self.type):
            hint = "write the label of the nodes below placement.nodeSelector"
            raise ValueError(f"no label is known that tells the products of {self.type}", hint)
        return self


class Resources(Document):
    """What a task needs of the machine it runs on."""

    cpu: CpuAmount | None = None
    memory: MemoryAmount | None = None
    accelerator: Accelerator | None = None
    shared_memory: Memory | None = None

    @model_validator(mode="after")
    def _within(self) -> Resources:
        limit = self.memory and (self.memory.both or self.memory.limit)
        if (
            limit
            and self.shared_memory
            and quantity.gigabytes(str(self.shared_memory)) > quantity.gigabytes(str(limit))
        ):
            message = f"sharedMemory {self.shared_memory} is more than the memory {limit} it is a part of"
            raise ValueError(message, "ask for more memory")
        return self


class Toleration(Document):
    """A taint the task's pod may stand."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    toleration_seconds: int | None = None

    @model_validator(mode="after")
    def _sound(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError("'value' goes with the operator Equal", "drop it")
        if not self.key and self.operator != "Exists":
            raise ValueError("a toleration without 'key' needs the operator Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("'tolerationSeconds' goes with the effect NoExecute")
        return self


class MatchExpression(Document):
    """One demand on the labels of a node."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sound(self) -> MatchExpression:
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"the operator {self.operator} needs 'values'")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"the operator {self.operator} takes no 'values'")
        if self.operator in ("Gt", "Lt") and (len(self.values) != 1 or not self.values[0].isdecimal()):
            raise ValueError(f"the operator {self.operator} needs one whole number in 'values', as text")
        return self


class Affinity(Document):
    """Nodes the task must run on, or with a weight would rather run on."""

    match_expressions: Annotated[list[MatchExpression], AfterValidator(filled), FILLED]
    weight: Annotated[int, Field(ge=1, le=100)] | None = None


class Placement(Document):
    """Where in a cluster a task may run."""

    node_selector: Labels = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)
    affinity: list[Affinity] = Field(default_factory=list)
    spot: bool = False
    priority: ClassName | None = None
