"""A pipeline file as typed data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from orchestrator.pipeline import kinds, quantity
from orchestrator.pipeline.shorthand import Shorthand
from orchestrator.source import Document, Versioned

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def _matching(pattern: str, what: str, hint: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}", hint)
        return text

    return check


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a label's name", "letters, digits, '-', '_' and '.', at most 63")
        if not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f"{value!r} is not a label's value", "letters, digits, '-', '_' and '.', at most 63")
    return labels


def _names(names: dict[str, Any]) -> dict[str, Any]:
    for name in names:
        _NAME(name)
    return names


def _tasks(tasks: dict[str, Any]) -> dict[str, Any]:
    if not tasks:
        raise ValueError("a pipeline has at least one task", "write NAME: {component: ...} below 'tasks:'")
    return _names(tasks)


def filled(items: list[Any]) -> list[Any]:
    """A list that must hold something."""
    if not items:
        raise ValueError("the list is empty")
    return items


_NAME = _matching(r"[A-Za-z][A-Za-z0-9_-]*", "a name", "a letter, then letters, digits, '_' and '-'")
_FILLED = Field(json_schema_extra={"minItems": 1})
PipelineName = Annotated[
    str,
    Field(pattern=None, json_schema_extra={"pattern": "^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$"}),
    AfterValidator(
        _matching(
            r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?",
            "a pipeline's name",
            "lower case letters, digits and '-', as Kubeflow Pipelines asks for",
        )
    ),
]
_DURATION_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["10s", "30m", "7d"]}
Duration = Annotated[int | str, AfterValidator(quantity.seconds), Field(json_schema_extra=_DURATION_SCHEMA)]
Cpu = Annotated[int | float | str, AfterValidator(quantity.cpu)]
Memory = Annotated[int | str, AfterValidator(quantity.memory)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]


class Metadata(Document):
    """What a pipeline is called, and the labels its pods carry."""

    name: PipelineName
    description: str = ""
    labels: Labels = Field(default_factory=dict)


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


class CpuAmount(Shorthand):
    """CPUs: a plain amount is both what is asked for and the most that is given."""

    both: Cpu | None = Field(None, exclude=True)
    request: Cpu | None = None
    limit: Cpu | None = None

    SHORT: ClassVar[str] = "both"


class MemoryAmount(Shorthand):
    """Memory: a plain amount is both what is asked for and the most that is given."""

    both: Memory | None = Field(None, exclude=True)
    request: Memory | None = None
    limit: Memory | None = None

    SHORT: ClassVar[str] = "both"


class Accelerator(Document):
    """GPUs and the like: the resource's name, how many, and which product of it."""

    type: str = "nvidia.com/gpu"
    count: Annotated[int, Field(ge=1)] = 1
    product: str | None = None


class Resources(Document):
    """What a task needs of the machine it runs on."""

    cpu: CpuAmount | None = None
    memory: MemoryAmount | None = None
    accelerator: Accelerator | None = None


class Toleration(Document):
    """A taint the task's pod may stand."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    toleration_seconds: int | None = None


class MatchExpression(Document):
    """One demand on the labels of a node."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] = Field(default_factory=list)


class Affinity(Document):
    """Nodes the task must run on, or with a weight would rather run on."""

    match_expressions: Annotated[list[MatchExpression], AfterValidator(filled), _FILLED]
    weight: Annotated[int, Field(ge=1, le=100)] | None = None


class Placement(Document):
    """Where in a cluster a task may run."""

    node_selector: Labels = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)
    affinity: list[Affinity] = Field(default_factory=list)
    spot: bool = False


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


class EnvironmentValue(Shorthand):
    """The value of an environment variable: text, or a key of a secret or a config map."""

    value: str | int | float | bool | None = None
    secret: str | None = None
    config_map: str | None = None
    key: str | None = None
    optional: bool = False

    SHORT: ClassVar[str] = "value"

    @model_validator(mode="after")
    def _one(self) -> EnvironmentValue:
        given = [name for name in ("value", "secret", "config_map") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("needs one of value, secret and configMap", "write {secret: NAME, key: KEY}")
        if given != ["value"] and not self.key:
            raise ValueError("missing key 'key': which entry is the value?", "write {secret: NAME, key: KEY}")
        if given == ["value"] and self.key:
            raise ValueError("'key' is for a secret or a config map", "drop it")
        if given == ["value"] and self.optional:
            raise ValueError("'optional' is for a secret or a config map", "drop it")
        return self


class EmptyDir(Document):
    """A folder that lives as long as the task."""

    medium: Literal["Memory", "HugePages"] | None = None
    size: Memory | None = None


class Volume(Document):
    """A folder mounted into the task: exactly one of pvc, emptyDir, secret and configMap says what it is."""

    path: str
    pvc: str | None = None
    sub_path: str | None = None
    empty_dir: EmptyDir | None = None
    secret: str | None = None
    config_map: str | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one(self) -> Volume:
        kinds = (self.pvc, self.empty_dir, self.secret, self.config_map)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a volume needs exactly one of pvc, emptyDir, secret and configMap")
        if self.sub_path is not None and self.pvc is None:
            raise ValueError("'subPath' is for a pvc")
        if self.optional and self.secret is None and self.config_map is None:
            raise ValueError("'optional' is for a secret or a config map")
        return self


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
    labels: Labels = Field(default_factory=dict)


class Pipeline(Versioned):
    """A pipeline file."""

    kind: Literal["Pipeline"]
    metadata: Metadata
    parameters: Annotated[dict[str, Parameter], AfterValidator(_names)] = Field(default_factory=dict)
    tasks: Annotated[dict[str, Task], Field(json_schema_extra={"minProperties": 1}), AfterValidator(_tasks)]
    finally_: Annotated[dict[str, Task], AfterValidator(_names)] = Field(default_factory=dict, alias="finally")
    outputs: Annotated[dict[str, str], AfterValidator(_names)] = Field(default_factory=dict)
