"""The lock beside a pipeline file: which image each of its components runs in, by digest once it is in a registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field

from orchestrator import source
from orchestrator.images import reference
from orchestrator.ir.spec import PipelineSpec
from orchestrator.source import Document, Versioned

ENDING = ".lock.yaml"


def _image(text: str) -> str:
    if reference.parse(text) is None:
        raise ValueError(f"{text!r} cannot be an image", "REPOSITORY:TAG, or REPOSITORY@sha256:... once it is pushed")
    return text


class Locked(Document):
    """An image as it was built, or as a registry has it."""

    reference: Annotated[str, AfterValidator(_image)]
    """What engines and clusters are given: with the digest of a registry when it is in one."""
    key: str = ""
    """The key of its content; "" for an image that somebody else made."""
    packages: list[str] = Field(default_factory=list)
    """What was asked for beyond its requirements."""

    @property
    def is_pushed(self) -> bool:
        """Whether it is known by the digest that a registry has for it, so that a cluster gets exactly this one."""
        return "@sha256:" in self.reference


class Lock(Versioned):
    """A lock file."""

    kind: Literal["Lock"] = "Lock"
    base: str = ""
    """What the images were built on when that was not the usual base."""
    platform: str = ""
    images: dict[str, Locked] = Field(default_factory=dict)


def beside(file: Path) -> Path:
    """Where the lock of a pipeline file is: `penguins.lock.yaml` for `penguins.yaml` and for `penguins.py:train`."""
    path, colon, _ = file.name.rpartition(":")
    name = path if colon and path.endswith(".py") else file.name
    return file.with_name(Path(name).stem + ENDING)


def read(file: Path) -> Lock | None:
    """A lock file, None where there is none. Raises PipelineError."""
    return source.model(Lock, source.read(file)) if file.is_file() else None


def dump(lock: Lock) -> str:
    """The lock as text: equal locks, equal text."""
    data = lock.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    whole = {"apiVersion": lock.api_version, "kind": lock.kind, **data}
    whole["images"] = {name: data.get("images", {})[name] for name in sorted(lock.images)}
    head = "# Written by `orc build`; keep it with the pipeline, so that everybody runs the same images.\n"
    return head + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120)


def pinned(pipeline: PipelineSpec, lock: Lock) -> PipelineSpec:
    """The pipeline with the images the lock names; an image that is not in it stays as it is."""
    executors = {}
    for name, executor in pipeline.deployment_spec.executors.items():
        held = lock.images.get(executor.container.image) if executor.container else None
        if executor.container and held:
            container = executor.container.model_copy(update={"image": held.reference})
            executor = executor.model_copy(update={"container": container})  # noqa: PLW2901
        executors[name] = executor
    deployment = pipeline.deployment_spec.model_copy(update={"executors": executors})
    return pipeline.model_copy(update={"deployment_spec": deployment})


def lacking(names: Iterable[str], lock: Lock | None) -> tuple[str, ...]:
    """Those of the images built here that no cluster could pull: not in the lock, or on this machine alone."""
    held = lock.images if lock else {}
    return tuple(sorted(name for name in names if name not in held or not held[name].is_pushed))


def changed(lock: Lock, keys: Mapping[str, str]) -> tuple[str, ...]:
    """The images in a lock that were built from other code than is here now; `keys` are those of now."""
    return tuple(
        sorted(name for name, held in lock.images.items() if held.key and keys.get(name, held.key) != held.key)
    )
