"""A component: what a task can be made of, whatever format its definition was written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from orchestrator.pipeline.forms import filled
from orchestrator.pipeline.kinds import Type, TypeName, type_of
from orchestrator.pipeline.pod import EnvironmentValue, SecurityContext, Volume, checked
from orchestrator.pipeline.shorthand import Shorthand
from orchestrator.source import Document, Versioned


@dataclass(frozen=True, slots=True)
class Input:
    """What a component takes; `literals` are the only values allowed, where there are any."""

    type: Type
    optional: bool = False
    default: Any = None
    description: str = ""
    literals: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What a component gives."""

    type: Type
    description: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A program in an image; every `{{$...}}` in its command and arguments is a KFP placeholder."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, Any] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)  # Resources and the like, from a compiled component.
    by_convention: bool = False  # Whether the arguments are flags of ours, rather than as their author wrote them.
    volumes: tuple[Volume, ...] = ()
    security: SecurityContext | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A DAG somebody else compiled: KFP IR and platform document as plain data."""

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Component:
    """A definition a task can use. `body` is a container, compiled IR, or a pipeline of ours (a `load.Definition`)."""

    name: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    body: Any
    folder: Path | None = None
    description: str = ""


def types_of(inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> dict[str, Type]:
    """The types of everything a component's arguments may speak of."""
    types = {name: each.type for name, each in outputs.items()}
    types.update({name: each.type for name, each in inputs.items()})
    return types


def _names(names: dict[str, Any]) -> dict[str, Any]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise ValueError(f"{name!r} is not a name", "a letter, then letters, digits, '_' and '-'")
    return names


class InputSpec(Shorthand):
    """An input as a component file declares it; written as one word, that is its type."""

    type: TypeName
    description: str = ""
    default: Any = None
    optional: bool = False
    enum: list[str | int | float | bool] | None = None

    SHORT: ClassVar[str] = "type"


class OutputSpec(Shorthand):
    """An output as a component file declares it; written as one word, that is its type."""

    type: TypeName
    description: str = ""

    SHORT: ClassVar[str] = "type"


class ContainerSpec(Document):
    """The program of a component."""

    image: str
    command: Annotated[list[str], AfterValidator(filled), Field(json_schema_extra={"minItems": 1})]
    args: list[str | dict[str, Any]] | None = None
    env: dict[str, EnvironmentValue] = Field(default_factory=dict)
    volumes: list[Volume] = Field(default_factory=list)
    security_context: SecurityContext | None = None
    executor_input: bool = False

    @model_validator(mode="after")
    def _volumes(self) -> ContainerSpec:
        checked(self.volumes, shared_memory=False, checkpoints=False)
        return self


class ComponentMetadata(Document):
    """What a component is called."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
    description: str = ""


class ComponentSpec(Versioned):
    """A component file."""

    kind: Literal["Component"]
    metadata: ComponentMetadata
    inputs: Annotated[dict[str, InputSpec], AfterValidator(_names)] = Field(default_factory=dict)
    outputs: Annotated[dict[str, OutputSpec], AfterValidator(_names)] = Field(default_factory=dict)
    container: ContainerSpec


def build(spec: ComponentSpec, folder: Path | None) -> Component:
    """The component a file of ours declares. Raises ValueError (message, hint) for an argument that cannot be read."""
    from orchestrator.pipeline import arguments

    inputs = {name: _input(each) for name, each in spec.inputs.items()}
    outputs = {name: Output(type_of(each.type), each.description) for name, each in spec.outputs.items()}
    container = spec.container
    if container.args is None:
        args = arguments.convention(inputs, outputs)
    else:
        args = arguments.explicit(container.args, types_of(inputs, outputs))
    if container.executor_input:
        args = (*args, "--executor_input", "{{$}}")
    body = Container(
        container.image,
        tuple(container.command),
        tuple(args),
        plain(container.env),
        environment(container.env),
        by_convention=container.args is None,
        volumes=tuple(container.volumes),
        security=container.security_context,
    )
    return Component(spec.metadata.name, inputs, outputs, body, folder, spec.metadata.description)


def environment(env: Mapping[str, EnvironmentValue]) -> dict[str, Any]:
    """The variables that come from secrets and config maps, as kfp-kubernetes writes them."""
    platform: dict[str, list[Any]] = {}
    for name, value in sorted(env.items()):
        for kind, source in (("secret", value.secret), ("configMap", value.config_map)):
            if source is None:
                continue
            entry = {"keyToEnv": [{f"{kind}Key": value.key, "envVar": name}], "optional": value.optional}
            platform.setdefault(f"{kind}AsEnv", []).append({**entry, **named(kind, source)})
    return platform


def named(kind: str, name: str) -> dict[str, Any]:
    """The name of a secret or config map, in the old field and the new."""
    return {f"{kind}Name": name, f"{kind}NameParameter": {"runtimeValue": {"constant": name}}}


def plain(env: Mapping[str, EnvironmentValue]) -> dict[str, str]:
    """The variables whose value stands in the file."""
    return {name: _text(value.value) for name, value in env.items() if value.value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _input(spec: InputSpec) -> Input:
    kind = type_of(spec.type)
    has_default = "default" in spec.model_fields_set and spec.default is not None
    optional = spec.optional or has_default or kind.name == "TASK_FINAL_STATUS"
    return Input(kind, optional, spec.default if has_default else None, spec.description, tuple(spec.enum or ()))
