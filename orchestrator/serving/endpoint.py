"""The endpoint file: the model versions behind one name, their shares of the traffic, and the limits they answer in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from orchestrator import source
from orchestrator.errors import PipelineError, Problem
from orchestrator.serving.background import Asynchronous
from orchestrator.serving.guard import Rollout
from orchestrator.serving.quantity import Name
from orchestrator.serving.replicas import Placement, Resources, Scaling
from orchestrator.serving.traffic import Batching, Capture, Limits, Routing, Variant
from orchestrator.source import Document, Source, Versioned

MAX_VARIANTS = 10
Mode = Literal["realtime", "serverless", "async", "batch"]
MODES = {
    "realtime": "answers each request at once",
    "serverless": "does so, and unloads its model while nobody asks",
    "async": "queues requests and writes answers to files",
    "batch": "predicts for whole files",
}
# In these modes nobody waits at the other end of a request.
_WITHOUT = {
    "async": ("batching", "rollout"),
    "batch": ("batching", "rollout", "capture", "routing"),
}


class Metadata(Document):
    """The endpoint's name, which is also the model's name in every URL, and labels for whoever pays for it."""

    name: Name
    description: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class Endpoint(Versioned):
    """An endpoint file."""

    kind: Literal["Endpoint"]
    metadata: Metadata
    mode: Mode = "realtime"
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    routing: Routing | None = None
    scaling: Scaling = Field(default=Scaling(), validate_default=True)
    resources: Resources = Resources()
    limits: Limits = Limits()
    placement: Placement = Placement()
    batching: Batching | None = None
    capture: Capture | None = None
    rollout: Rollout = Rollout()
    asynchronous: Asynchronous | None = Field(default=None, alias="async")

    @field_validator("mode", mode="before")
    @classmethod
    def _known(cls, mode: Any) -> Any:
        if isinstance(mode, str) and mode not in MODES:
            said = ", ".join(f"{each} ({does})" for each, does in MODES.items())
            raise ValueError(f"{mode!r} is not a mode", f"write one of: {said}")
        return mode

    @field_validator("variants")
    @classmethod
    def _distinct(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two variants are named {twice!r}", "give each a name of its own")
        if not sum(variant.weight for variant in variants) > 0:
            raise ValueError("no variant takes any traffic", "give at least one a weight above 0")
        if len(shadows := [variant.name for variant in variants if variant.shadow is not None]) > 1:
            raise ValueError(f"{len(shadows)} variants are shadows: {', '.join(shadows)}", "one at most")
        return variants

    @field_validator("scaling")
    @classmethod
    def _may_be_idle(cls, scaling: Scaling, info: ValidationInfo) -> Scaling:
        """Modes that scale to nothing do so unless the file says otherwise."""
        if info.data.get("mode") in ("serverless", "async") and "min" not in scaling.model_fields_set:
            return scaling.model_copy(update={"min": 0})
        return scaling


def read(path: Path) -> Endpoint:
    """The endpoint file at `path`. Raises PipelineError with the place of every problem."""
    return parse(source.read(path))


def parse(document: Source) -> Endpoint:
    """The endpoint file in `document`. Raises PipelineError."""
    spec = source.model(Endpoint, document)
    if problems := _contradictions(spec, document):
        raise PipelineError(problems)
    return spec


def dump(endpoint: Endpoint) -> dict[str, Any]:
    """The file as plain data, every default written out; `source.model` takes it back."""
    return endpoint.model_dump(mode="json", by_alias=True)


def _contradictions(spec: Endpoint, document: Source) -> list[Problem]:
    """Sections that the mode cannot honour, each with its place."""
    problems: list[Problem] = []
    if spec.mode == "async" and spec.asynchronous is None:
        hint = "add async: {output: FOLDER-OR-URI}"
        problems.append(Problem(document.at("mode"), "mode async needs to know where answers go", hint))
    if spec.mode != "async" and spec.asynchronous is not None:
        message = f"mode {spec.mode} queues nothing"
        problems.append(Problem(document.at("async", key=True), message, "write mode: async, or leave this out"))
    for section in _WITHOUT.get(spec.mode, ()):
        if section in spec.model_fields_set:
            place = document.at(section, key=True)
            problems.append(Problem(place, f"mode {spec.mode} has no use for {section!r}", "leave it out"))
    if spec.mode != "serverless" and "idle" in spec.scaling.model_fields_set:
        place = document.at("scaling", "idle", key=True)
        problems.append(Problem(place, f"mode {spec.mode} never unloads its model", "write mode: serverless"))
    return problems
