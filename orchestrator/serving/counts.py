"""What was counted, in a form that people read: requests, errors and latency by variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample


@dataclass(slots=True)
class Latency:
    """A histogram of seconds."""

    buckets: dict[float, float] = field(default_factory=dict)  # Upper bound -> how many are at most that.

    def quantile(self, share: float) -> float | None:
        """The seconds that this share of the answers took at most, as Prometheus reckons it; None without answers."""
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0
        if not total:
            return None
        wanted, low, below = share * total, 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= wanted and count > below:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (wanted - below) / (count - below)
            low, below = bound, count
        return low


@dataclass(slots=True)
class Traffic:
    """What one variant was asked, and how it answered."""

    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    shadow: dict[str, int] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)


@dataclass(slots=True)
class Endpoint:
    """What was counted of one endpoint."""

    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    variants: dict[str, Traffic] = field(default_factory=dict)
    captured: int = 0
    capture_dropped: dict[str, int] = field(default_factory=dict)
    queued: int = 0

    @property
    def failed(self) -> int:
        """Requests that the server, not the client, is to blame for."""
        return failed(self.errors)


def failed(errors: Mapping[str, int]) -> int:
    """Those that the server is to blame for: what clients did wrong says nothing of a model."""
    return sum(count for kind, count in errors.items() if kind in ("model", "timeout", "other"))


def by_endpoint(metrics: Iterable[Metric]) -> Mapping[str, Endpoint]:
    """The counts of each endpoint by its name."""
    found: dict[str, Endpoint] = {}
    for metric in metrics:
        for sample in metric.samples:
            if name := sample.labels.get("model_name"):
                _count(found.setdefault(name, Endpoint()), sample)
    return found


def _count(endpoint: Endpoint, sample: Sample) -> None:
    labels, value = sample.labels, sample.value
    traffic = endpoint.variants.setdefault(labels["variant"], Traffic()) if labels.get("variant") else Traffic()
    match sample.name:
        case "requests_total":
            endpoint.requests += int(value)
            traffic.requests += int(value)
        case "request_errors_total":
            _add(endpoint.errors, labels["kind"], value)
            _add(traffic.errors, labels["kind"], value)
        case "request_seconds_bucket":
            traffic.latency.buckets[float(labels["le"])] = value
        case "shadow_requests_total":
            _add(traffic.shadow, labels["outcome"], value)
        case "captured_total":
            endpoint.captured += int(value)
        case "capture_dropped_total":
            _add(endpoint.capture_dropped, labels["reason"], value)
        case "queue_length":
            endpoint.queued = int(value)


def _add(counts: dict[str, int], key: str, value: float) -> None:
    counts[key] = counts.get(key, 0) + int(value)


def said(counts: Mapping[str, int], words: Sequence[str] = ()) -> str:
    """Counts in words, the given ones first: "3 equal, 1 different"."""
    order = [*words, *sorted(counts.keys() - set(words))]
    return ", ".join(f"{counts[key]:,} {key.replace('_', ' ')}" for key in order if counts.get(key))
