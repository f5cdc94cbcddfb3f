"""A pipeline file as typed data."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from orchestrator.pipeline import kinds, pod
from orchestrator.pipeline.forms import Annotations, Duration, Labels, ObjectName, matching
from orchestrator.pipeline.machine import Placement, Resources
from orchestrator.pipeline.pod import Checkpoints, EnvironmentValue, SecurityContext, Volume
from orchestrator.pipeline.shorthand import Shorthand
from orchestrator.source import Document, Versioned


def _names(names: dict[str, Any]) -> dict[str, Any]:
    for name in names:
        _NAME(name)
    return names


def _tasks(tasks: dict[str, Any]) -> dict[str, Any]:
    if not tasks:
        raise ValueError("a pipeline has at least one task", "write NAME: {component: ...} below 'tasks:'")
    return _names(tasks)


_NAME = matching(r"[A-Za-z][A-Za-z0-9_-]*", "a name", "a letter, then letters, digits, '_' and '-'")
PipelineName = Annotated[
    str,
    Field(pattern=None, json_schema_extra={"pattern": "^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$"}),
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?",
            "a pipeline's name",
            "lower case letters, digits and '-', as Kubeflow Pipelines asks for",
        )
    ),
]


class Metadata(Document):
    """What a pipeline is called, and the labels its pods carry."""

    name: PipelineName
    description: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Annotations = Field(default_factory=dict)


class Parameter(Shorthand):
    """A parameter of the pipeline; written as a plain value, that is its default and gives its type."""

    # Checked where types are, not here: a type nobody knows has a hint of its own.
    type: Annotated[str, kinds.SCHEMA] | None = None
    default: Any = None
    description: str = ""
    enum: list[str | int | float | bool] | None = None

    SHORT: ClassVar[str] = "default"

    @property
    def has_default(self) -> bool:
        return "default" in self.model_fields_set and self.default is not None


class Retry(Shorthand):
    """How often a task is tried in all, and how long to wait in between."""

    attempts: Annotated[int, Field(ge=1, le=100)]
    backoff: Duration = 0
    factor: Annotated[float, Field(ge=1)] = 2.0
    max: Duration = 3600

    SHORT: ClassVar[str] = "attempts"


class Cache(Shorthand):
    """Whether an earlier result may stand in for a task, for how long, and under which key."""

    enabled: bool = True
    ttl: Duration | None = None
    key: str | None = None

    SHORT: ClassVar[str] = "enabled"


class Lifetime(Shorthand):
    """How long a run that is over is kept: after any end, or after a good and a bad one."""

    completion: Duration | None = None
    success: Duration | None = None
    failure: Duration | None = None

    SHORT: ClassVar[str] = "completion"


class Task(Document):
    """One use of a component in a pipeline."""

    component: str
    description: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    after: list[str] = Field(default_factory=list)
    when: str | bool | None = None
    foreach: str | list[Any] | None = None
    parallelism: Annotated[int, Field(ge=1)] | None = None
    resources: Resources | None = None
    placement: Placement | None = None
    retry: Retry | None = None
    timeout: Duration | None = None
    cache: Cache | None = None
    env: dict[str, EnvironmentValue] = Field(default_factory=dict)
    volumes: list[Volume] = Field(default_factory=list)
    checkpoints: Checkpoints | None = None
    security_context: SecurityContext | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: list[ObjectName] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    annotations: Annotations = Field(default_factory=dict)

    @model_validator(mode="after")
    def _volumes(self) -> Task:
        shared = bool(self.resources and self.resources.shared_memory)
        kept = bool(self.checkpoints and self.checkpoints.enabled)
        pod.checked(self.volumes, shared_memory=shared, checkpoints=kept)
        return self


class Pipeline(Versioned):
    """A pipeline file."""

    kind: Literal["Pipeline"]
    metadata: Metadata
    parameters: Annotated[dict[str, Parameter], AfterValidator(_names)] = Field(default_factory=dict)
    timeout: Duration | None = None
    ttl: Lifetime | None = None
    tasks: Annotated[dict[str, Task], Field(json_schema_extra={"minProperties": 1}), AfterValidator(_tasks)]
    finally_: Annotated[dict[str, Task], AfterValidator(_names)] = Field(default_factory=dict, alias="finally")
    outputs: Annotated[dict[str, str], AfterValidator(_names)] = Field(default_factory=dict)
