"""What the server counts: KServe's histogram names, so that dashboards go on working, and what KServe leaves out.

Counts are right for a server of several worker processes: each keeps its own in files of a shared folder, whichever is
asked adds them all up, and a worker that takes the place of a dead one goes on counting where that one stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from orchestrator.serving import gauges
from orchestrator.serving.gauges import Gauges, Value
from orchestrator.stores import whole

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a linear model's 100 us to a large request's seconds.
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10000, 100000)
# What the file of a worker's counts takes at first; it grows.
_ROOM = 64 * 1024
_KINDS = {
    400: "input",
    401: "access",
    403: "access",
    404: "unknown",
    405: "input",
    408: "body_timeout",
    413: "too_large",
    415: "input",
    421: "access",
    429: "overloaded",
    503: "unavailable",
    504: "timeout",
}
"""What an error is called when nobody knows better than by its status."""


class Timings(NamedTuple):
    """The histograms of one endpoint, looked up once."""

    preprocess: Histogram
    predict: Histogram
    postprocess: Histogram
    rows: Histogram
    explain: Histogram


class Shown(NamedTuple):
    """A variant as the server shares out the traffic to it."""

    name: str
    model: str
    version: str
    format: str
    weight: float


class Metrics:
    """The counts of one server, in a registry of their own: two servers in one process do not mix.

    A worker process among others is told the folder they share, and the number of its place.
    """

    def __init__(self, shared: Path | None = None, slot: int = 0) -> None:
        self._shared = shared
        if shared is not None:
            _share(shared, slot)
        self.gauges = Gauges()
        self._registry = CollectorRegistry()
        name, variant = ("model_name",), ("model_name", "variant")
        self._preprocess, self._predict, self._postprocess, self._explain = (
            self._histogram(f"request_{part}_seconds", f"{part} latency", name)
            for part in ("preprocess", "predict", "postprocess", "explain")
        )
        self._seconds = self._histogram("request_seconds", "whole answer, errors of clients left out", variant)
        self._rows = self._histogram("request_rows", "rows per request", name, _ROWS)
        self._batch = self._histogram("batch_rows", "rows per call of the model", name, _ROWS)
        self._requests = self._counter(
            "requests",
            "requests by model, variant, model version, protocol and HTTP status",
            ("model_name", "variant", "version", "protocol", "code"),
        )
        self._errors = self._counter(
            "request_errors", "requests not answered, by what was wrong", ("model_name", "variant", "kind")
        )
        self._loads = self._counter("model_loads", "declarations loaded", ("model_name", "outcome"))
        self._captured = self._counter("captured", "requests captured", ("model_name",))
        self._dropped = self._counter("capture_dropped", "requests not captured", ("model_name", "reason"))
        self._shadow = self._counter(
            "shadow_requests", "requests copied to a shadow, by what came of them", ("model_name", "variant", "outcome")
        )
        self._by_name: dict[str, Timings] = {}
        self._by_request: dict[tuple[str, str, str, str, int], Counter] = {}
        self._by_variant: dict[tuple[str, str], Histogram] = {}

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: Sequence[float] = _BUCKETS
    ) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=buckets)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def timings(self, model: str) -> Timings:
        """The histograms of `model`."""
        found = self._by_name.get(model)
        if found is None:
            found = self._by_name[model] = Timings(
                self._preprocess.labels(model),
                self._predict.labels(model),
                self._postprocess.labels(model),
                self._rows.labels(model),
                self._explain.labels(model),
            )
        return found

    def request(
        self,
        model: str,
        variant: str,
        version: str,
        protocol: str,
        code: int,
        *,
        seconds: float | None = None,
        kind: str = "",
    ) -> None:
        """Count one answered request; `model` is "" for one that nobody knows, so that clients cannot make labels.

        `seconds` is what the whole of it took, `kind` what was wrong if its status does not say enough.
        """
        key = (model, variant, version, protocol, code)
        counter = self._by_request.get(key)
        if counter is None:
            counter = self._by_request[key] = self._requests.labels(model, variant, version, protocol, str(code))
        counter.inc()
        if code >= 400:
            self._errors.labels(model, variant, kind or _KINDS.get(code, "model" if code == 500 else "other")).inc()
        if seconds is not None and (code < 400 or code in (500, 504)):
            observed = self._by_variant.get((model, variant))
            if observed is None:
                observed = self._by_variant[model, variant] = self._seconds.labels(model, variant)
            observed.observe(seconds)

    def batch(self, model: str, rows: int) -> None:
        """Count one call of the model for the rows of several requests."""
        self._batch.labels(model).observe(rows)

    def captured(self, model: str, count: int = 1) -> None:
        self._captured.labels(model).inc(count)

    def capture_dropped(self, model: str, reason: str, count: int = 1) -> None:
        self._dropped.labels(model, reason).inc(count)

    def shadow(self, model: str, variant: str, outcome: str) -> None:
        """Count one request that a shadow got, too: "equal", "different", "failed", or "dropped" unasked."""
        self._shadow.labels(model, variant, outcome).inc()

    def in_flight(self, model: str, count: int) -> None:
        self.gauges.set(gauges.IN_FLIGHT, (model,), count)

    def queued(self, model: str, count: int) -> None:
        self.gauges.set(gauges.QUEUE, (model,), count)

    def loaded_bytes(self, model: str, size: int) -> None:
        self.gauges.set(gauges.BYTES, (model,), size)

    def loaded(self, model: str, *, ready: bool, outcome: str) -> None:
        self.gauges.set(gauges.READY, (model,), int(ready))
        self._loads.labels(model, outcome).inc()

    def serving(self, model: str, variants: Iterable[Shown]) -> None:
        """Say which variants answer from now on, and their shares."""
        shown = tuple(variants)
        total = sum(each.weight for each in shown) or 1.0
        info: dict[tuple[str, ...], float] = {
            (model, v.name, v.model, v.version, v.format, f"{v.weight / total:.4g}"): 1.0 for v in shown
        }
        self.gauges.replace(gauges.INFO, model, info)
        self.gauges.replace(gauges.WEIGHT, model, {(model, v.name): v.weight / total for v in shown})

    def removed(self, model: str) -> None:
        self.gauges.remove(model)

    def registry(self, others: Iterable[Value] = ()) -> CollectorRegistry:
        """What may be collected: everything that was counted, and what is so now, here and in `others`."""
        registry = CollectorRegistry()
        if self._shared is not None:
            MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        registry.register(gauges.Exposed([*self.gauges.values(), *others]))
        return registry

    def collect(self, others: Iterable[Value] = ()) -> list[Metric]:
        """Every metric with its samples."""
        return [*self.registry(others).collect()]

    def text(self, others: Iterable[Value] = ()) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry(others))


def _share(folder: Path, slot: int) -> None:
    """Let this process keep its counts in a folder, under the number of its place among the workers."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("counter", "histogram"):
        file = folder / f"{kind}_{slot}.db"
        if not file.exists():
            # The client makes it in two moves, and whoever reads it between them fails.
            whole.write(file, "\0" * _ROOM)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    identity: Callable[[], int] = lambda: slot  # noqa: E731  The client asks for a function.
    values.ValueClass = values.MultiProcessValue(identity)  # type: ignore[no-untyped-call]
