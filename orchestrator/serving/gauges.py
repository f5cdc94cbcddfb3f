"""What is so at this moment in one server process, as values that those of other processes are added to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Merge = Literal["sum", "min", "max"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A gauge: what it says, by which labels, and how the values of several processes become one."""

    name: str
    help: str
    labels: tuple[str, ...]
    merge: Merge = "sum"


_MODEL = ("model_name",)
IN_FLIGHT = Kind("requests_in_flight", "requests being answered", _MODEL)
READY = Kind("model_ready", "1 when all variants are loaded, in every worker process", _MODEL, "min")
BYTES = Kind("model_loaded_bytes", "size of the models in memory, over all worker processes", _MODEL)
QUEUE = Kind("queue_length", "asynchronous requests that wait to be answered", _MODEL, "max")
WEIGHT = Kind("variant_weight", "share of the traffic, 0 to 1", ("model_name", "variant"), "max")
INFO = Kind(
    "model_info",
    "1 for every variant that is served",
    ("model_name", "variant", "model", "version", "format", "weight"),
    "max",
)
KINDS = {kind.name: kind for kind in (IN_FLIGHT, READY, BYTES, QUEUE, WEIGHT, INFO)}


class Value(NamedTuple):
    """One gauge of one process, for one set of labels."""

    name: str
    labels: tuple[str, ...]
    value: float


class Gauges:
    """The values of this process. Setting one is a plain assignment: it happens twice per request."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, tuple[str, ...]], float] = {}
        self._lock = threading.Lock()

    def set(self, kind: Kind, labels: tuple[str, ...], value: float) -> None:
        self._values[kind.name, labels] = value

    def replace(self, kind: Kind, model: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Set all values of a kind for one model, whatever labels it had before."""
        with self._lock:
            for name, labels in [*self._values]:
                if name == kind.name and labels[0] == model:
                    del self._values[name, labels]
            self._values.update({(kind.name, labels): value for labels, value in values.items()})

    def remove(self, model: str) -> None:
        """Forget everything about one model."""
        for kind in KINDS.values():
            self.replace(kind, model, {})

    def values(self) -> list[Value]:
        # A copy in one step of the interpreter: another thread may be setting one.
        return [Value(name, labels, value) for (name, labels), value in self._values.copy().items()]


def merged(values: Iterable[Value]) -> dict[tuple[str, tuple[str, ...]], float]:
    """The values of several processes as those of one server."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for name, labels, value in values:
        kind = KINDS.get(name)
        if kind is None:
            continue
        key = (name, labels)
        if key not in found:
            found[key] = value
        elif kind.merge == "sum":
            found[key] += value
        else:
            found[key] = (min if kind.merge == "min" else max)(found[key], value)
    return found


class Exposed(Collector):
    """Values as Prometheus collects them."""

    def __init__(self, values: Iterable[Value]) -> None:
        self._merged = merged(values)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for kind in KINDS.values():
            family = GaugeMetricFamily(kind.name, kind.help, labels=kind.labels)
            for (name, labels), value in sorted(self._merged.items()):
                if name == kind.name:
                    family.add_metric(labels, value)
            yield family
