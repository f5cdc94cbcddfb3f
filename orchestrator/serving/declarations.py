"""Endpoints that are declared to the server of a state folder: one JSON file each, written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import endpoint, quantity, traffic
from orchestrator.serving.marks import Mark, inside
from orchestrator.stores import whole

VERSION = 1
SHORT_SECONDS = 30


class Variant(BaseModel):
    """A model version that takes part of the traffic: where its folder is and the digest it must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: str
    version: str
    path: str
    digest: str
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    format: traffic.Format = "native"
    shadow: float | None = Field(default=None, gt=0, le=100)


class Declaration(BaseModel):
    """What the server is asked to serve; as deploy's output it also says under which URL it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: quantity.Name
    url: str = ""
    variants: tuple[Variant, ...] = Field(min_length=1)
    spec: endpoint.Endpoint
    example: dict[str, list[Any]] = Field(default_factory=dict)
    run: str = ""
    declared_at: str = ""

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(variant.digest for variant in self.variants)

    @property
    def main(self) -> Variant:
        """The variant with the largest share of the traffic."""
        return max(self.variants, key=lambda variant: variant.weight)


def longest_answer(found: Iterable[Declaration]) -> float:
    """For how many seconds a request to any of these may be under way; of endpoints just removed some may be, too."""
    return max([float(SHORT_SECONDS), *(each.spec.limits.timeout_seconds for each in found)])


def dump(declaration: Declaration) -> str:
    """The declaration as JSON text."""
    plain = declaration.model_dump(mode="json", exclude={"spec"})
    ordered = {key: plain[key] for key in plain if key not in ("example", "run", "declared_at")}
    ordered["spec"] = endpoint.dump(declaration.spec)
    ordered |= {key: plain[key] for key in ("example", "run", "declared_at")}
    return json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"


def fingerprint(declaration: Declaration) -> str:
    """What tells this declaration from any other, also from an equal one of another time."""
    return hashlib.sha256(dump(declaration).encode()).hexdigest()


def load(text: str | bytes) -> Declaration:
    """A declaration from JSON text. Raises OrchestratorError."""
    try:
        return Declaration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise OrchestratorError(
            f"not an endpoint declaration: {place + ': ' if place else ''}{first['msg']}"
        ) from error


def folder(state: Path) -> Path:
    """Where the declarations of a state folder are."""
    return state / "endpoints"


def file(state: Path, name: str) -> Path:
    """The file of one declaration."""
    return folder(state) / f"{name}.json"


def write(state: Path, declaration: Declaration) -> None:
    """Declare an endpoint, in place of one of that name."""
    with changing(state):
        whole.write(file(state, declaration.name), dump(declaration))


def remove(state: Path, name: str) -> bool:
    """Take a declaration away; False when there was none."""
    with changing(state):
        try:
            file(state, name).unlink()
        except FileNotFoundError:
            return False
    return True


def read(state: Path, name: str) -> Declaration | None:
    """One declaration, or None when that endpoint is not declared. Raises OrchestratorError when it is damaged."""
    try:
        return load(file(state, name).read_bytes())
    except FileNotFoundError:
        return None


def readable(state: Path) -> list[Declaration]:
    """Everything that is declared and not damaged."""
    found: list[Declaration] = []
    for name in names(state):
        try:
            declared = read(state, name)
        except OrchestratorError:
            continue
        if declared is not None:
            found.append(declared)
    return found


def names(state: Path) -> list[str]:
    """The names of what is declared, damaged or not."""
    return sorted(path.stem for path in folder(state).glob("[!.]*.json"))


def marks(state: Path) -> Mapping[str, Mark]:
    """Per declaration a value that changes whenever its file is written anew."""
    return inside(folder(state))


@contextmanager
def changing(state: Path) -> Iterator[None]:
    """Nobody else changes the declarations meanwhile, nor does a server decide that none is left."""
    with locked(folder(state) / ".lock"):
        yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; the kernel frees it should the process die."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = path.open("a")
    except OSError as error:
        raise BackendError("state folder", f"{path.parent} cannot be written: {error.strerror}") from error
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
