"""Endpoints as this server holds them: models in memory, the share each variant takes, and why one is not ready."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import OrchestratorError
from orchestrator.model.signature import Array, Columns, Signature, columns_from_records
from orchestrator.serving import declarations, shares
from orchestrator.serving.batches import Batches, Bounds
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Observer

# Below this the hop to another thread (15 to 37 us) costs more than the wait it saves the others.
SHORT_SECONDS = 0.0005
# What keeps everybody else waiting for so long is noticed.
LONG_SECONDS = 0.01
_PACE = 1.1


class Model(Protocol):
    """What a back end gives the server."""

    @property
    def signature(self) -> Signature: ...
    @property
    def platform(self) -> str: ...
    @property
    def example(self) -> Sequence[Mapping[str, Any]]: ...
    def outputs(self, columns: Columns) -> dict[str, Array]:
        """The named outputs for these rows; the first one is the prediction."""
        ...


Load = Callable[[Path, str], Model]
# A model may also have a method `respond` that takes a V1 request as it came: its body, its content type and what the
# client accepts; it gives the answer's body and content type. InputError, as anywhere, becomes a 400.
Respond = Callable[[bytes, str, str], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Asleep:
    """What is kept of a model that was unloaded, so that the endpoint still says what it takes."""

    signature: Signature
    platform: str
    example: Sequence[Mapping[str, Any]]

    def outputs(self, _: Columns) -> dict[str, Array]:
        raise AssertionError("a model that is not loaded was asked")  # Whoever asks wakes it first.


@dataclass(slots=True)
class Cost:
    """How long a model's small requests usually take: it decides whether they are answered on the event loop.

    It follows their median. On a busy machine one in a few calls is interrupted for milliseconds, which says nothing of
    the model; two long ones in a row do, and count at once.
    """

    seconds: float = SHORT_SECONDS * 2
    was_long: bool = False

    def observe(self, seconds: float) -> None:
        is_long = seconds > LONG_SECONDS
        if is_long and self.was_long:
            self.seconds = seconds
        else:
            self.seconds *= _PACE if seconds > self.seconds else 1 / _PACE
        self.was_long = is_long

    @property
    def is_short(self) -> bool:
        return self.seconds < SHORT_SECONDS


@dataclass(frozen=True, slots=True)
class Variant:
    """A loaded model version and the variant it answers as."""

    declared: declarations.Variant
    model: Model
    cost: Cost = field(default_factory=Cost)
    # What the model gave for its own example: the types and shapes in its metadata.
    outputs: Mapping[str, Array] | None = None
    respond: Respond | None = None
    batches: Batches = field(default_factory=Batches)

    @property
    def label(self) -> str:
        return f"{self.declared.model} version {self.declared.version}"


@dataclass(frozen=True, slots=True)
class Hosted:
    """An endpoint whose models are all loaded, or were and are asleep."""

    declaration: Declaration
    variants: tuple[Variant, ...]
    thresholds: tuple[float, ...]
    asleep: bool = False
    shadow: Variant | None = None
    bounds: Bounds | None = None  # How far requests are gathered for one call; None: not at all.
    key: str = ""  # The header that keeps a client with one variant.
    # The limits as numbers: reading them from the file's text costs as much as finding the endpoint.
    most_bytes: int = 0
    seconds: float = 0.0

    def pick(self, chance: float | None = None) -> Variant:
        """A variant, by weight; `chance` (0 to 1) takes the place of the dice."""
        if len(self.variants) == 1:
            return self.variants[0]
        drawn = random.random() if chance is None else chance  # noqa: S311  Traffic, not secrets.
        return self.variants[shares.by_chance(self.thresholds, drawn)]

    def kept(self, value: str) -> Variant:
        """The variant for a value of the routing key."""
        weights = ((variant.declared.name, variant.declared.weight) for variant in self.variants)
        name = shares.by_key(self.declaration.name, weights, value)
        return next(variant for variant in self.variants if variant.declared.name == name)

    def of_version(self, version: str) -> Variant | None:
        """The variant that serves a model version, whatever its weight; a shadow only where no other one does."""
        found = [variant for variant in self.variants if variant.declared.version == version]
        found.sort(key=lambda variant: variant.declared.shadow is not None)
        return found[0] if found else None

    @property
    def main(self) -> Variant:
        return next(variant for variant in self.variants if variant.declared == self.declaration.main)


@dataclass(slots=True)
class Status:
    """What became of a declaration. With both `hosted` and `reason`, an earlier declaration goes on being served."""

    name: str
    hosted: Hosted | None = None
    reason: str = ""
    attempted: str = ""  # The fingerprint of the declaration that `reason` is about.
    in_flight: int = 0
    observers: tuple[Observer, ...] = ()  # Told of each exchange.
    used: float = field(default_factory=time.monotonic)  # When it was last asked.
    size: int = 0  # Of its models, in bytes, while they are loaded.
    unloaded: bool = False  # Somebody asked for that; until somebody asks for the contrary.
    changing: threading.Lock = field(default_factory=threading.Lock)  # Held while models are loaded or let go.
    waking: Future[Hosted] | None = None
    stuck: str = ""  # Why it could not be loaded on call,
    stuck_until: float = 0.0  # and until when that is not tried again.

    @property
    def state(self) -> str:
        """Where its models are: "loaded", "asleep" until somebody asks, "unloaded" by request, or "missing"."""
        if self.hosted is None:
            return "missing"
        return "unloaded" if self.unloaded else "asleep" if self.hosted.asleep else "loaded"


def load(declaration: Declaration, name: str, loader: Load, previous: Hosted | None = None) -> Hosted:
    """Load what the declaration `name` says, taking over models that `previous` has. Raises OrchestratorError."""
    if declaration.name != name:
        raise OrchestratorError(f"the file {name}.json declares {declaration.name!r}")
    known = previous.variants if previous and not previous.asleep else ()
    loaded = {_identity(variant.declared): variant for variant in known}
    # What answers for minutes is asked for its example by its deployment, through the queue.
    warm = declaration.spec.mode != "async"
    variants: list[Variant] = []
    for declared in declaration.variants:
        same = loaded.get(_identity(declared))
        variant = replace(same, declared=declared) if same is not None else _loaded(declared, loader, warm)
        variants.append(variant)
        loaded[_identity(declared)] = variant
    thresholds = tuple(accumulate(variant.declared.weight for variant in variants))
    shadow = next((variant for variant in variants if variant.declared.shadow is not None), None)
    batching, sticky = declaration.spec.batching, declaration.spec.routing
    bounds = Bounds(batching.rows, batching.delay_seconds) if batching else None
    limits = declaration.spec.limits
    return Hosted(
        declaration,
        tuple(variants),
        thresholds,
        shadow=shadow,
        bounds=bounds,
        key=sticky.key if sticky else "",
        most_bytes=limits.body_bytes,
        seconds=limits.timeout_seconds,
    )


def rest(hosted: Hosted) -> Hosted:
    """The endpoint without its models: they are freed once the last request that has one is answered."""
    variants = tuple(
        replace(
            variant,
            model=Asleep(variant.model.signature, variant.model.platform, variant.model.example),
            respond=None,
            batches=Batches(),
        )
        for variant in hosted.variants
    )
    return replace(hosted, variants=variants, asleep=True, shadow=None)


def _identity(declared: declarations.Variant) -> tuple[str, str, str]:
    return declared.path, declared.digest, declared.format


def _loaded(declared: declarations.Variant, loader: Load, warm: bool) -> Variant:
    try:
        model = loader(Path(declared.path), declared.digest)
        variant = Variant(declared, model, respond=getattr(model, "respond", None))
        return _warm(variant) if warm else variant
    except OrchestratorError as error:
        label = f"{declared.model} version {declared.version}"
        raise OrchestratorError(f"{label}: {error.message}", hint=error.hint) from error


def _warm(variant: Variant) -> Variant:
    """Answer the model's own example: what cannot do that is not ready, and later calls find its imports done."""
    example = list(variant.model.example)
    if not example:
        return variant
    columns = columns_from_records(variant.model.signature, example)
    try:
        for _ in range(3):
            began = time.perf_counter()
            outputs = variant.model.outputs(columns)
            seconds = time.perf_counter() - began
    except OrchestratorError:
        raise
    except Exception as error:  # Whatever a model does.
        raise OrchestratorError(f"the model fails on its own example: {type(error).__name__}: {error}") from error
    return replace(variant, cost=Cost(seconds), outputs=outputs)
