"""What the server counts: KServe's histogram names, so that dashboards go on working, and what KServe leaves out."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a linear model's 100 us to a large request's seconds.
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10000, 100000)


class Timings(NamedTuple):
    """The histograms of one endpoint, looked up once."""

    preprocess: Histogram
    predict: Histogram
    postprocess: Histogram
    rows: Histogram


class Metrics:
    """The counts of one server, in a registry of their own: two servers in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        name = ["model_name"]
        self._preprocess, self._predict, self._postprocess, _ = (
            Histogram(f"request_{part}_seconds", f"{part} latency", name, registry=self._registry, buckets=_BUCKETS)
            for part in ("preprocess", "predict", "postprocess", "explain")
        )
        self._rows = Histogram("request_rows", "rows per request", name, registry=self._registry, buckets=_ROWS)
        self._requests = Counter(
            "requests",
            "requests by model, variant, model version, protocol and HTTP status",
            ["model_name", "variant", "version", "protocol", "code"],
            registry=self._registry,
        )
        self._in_flight = Gauge("requests_in_flight", "requests being answered", name, registry=self._registry)
        self._ready = Gauge("model_ready", "1 when all variants are loaded", name, registry=self._registry)
        self._reloads = Counter(
            "model_loads", "declarations loaded", ["model_name", "outcome"], registry=self._registry
        )
        self._by_name: dict[str, Timings] = {}
        self._by_request: dict[tuple[str, str, str, str, int], Counter] = {}

    def timings(self, model: str) -> Timings:
        """The histograms of `model`."""
        found = self._by_name.get(model)
        if found is None:
            found = self._by_name[model] = Timings(
                self._preprocess.labels(model),
                self._predict.labels(model),
                self._postprocess.labels(model),
                self._rows.labels(model),
            )
        return found

    def request(self, model: str, variant: str, version: str, protocol: str, code: int) -> None:
        """Count one answered request; `model` is "" for one that nobody knows, so that clients cannot make labels."""
        key = (model, variant, version, protocol, code)
        counter = self._by_request.get(key)
        if counter is None:
            counter = self._by_request[key] = self._requests.labels(model, variant, version, protocol, str(code))
        counter.inc()

    def in_flight(self, model: str, count: int) -> None:
        self._in_flight.labels(model).set(count)

    def loaded(self, model: str, *, ready: bool, outcome: str) -> None:
        self._ready.labels(model).set(int(ready))
        self._reloads.labels(model, outcome).inc()

    def removed(self, model: str) -> None:
        self._ready.remove(model)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)
