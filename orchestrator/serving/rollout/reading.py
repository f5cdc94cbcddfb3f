"""What a server's own metrics say of some variants of an endpoint, and what was added between two looks at them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

_REQUESTS = "requests_total"
_SECONDS = "request_seconds_bucket"
_OF_INTEREST = {"requests_total": ("code",), "request_seconds_bucket": ("le",)}

# Where a number comes from, what it counts, the variant, and its status or upper bound.
Series = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counts of one look. They only grow, unless a server was started anew."""

    counts: Mapping[Series, float] = field(default_factory=dict)

    def since(self, before: Reading) -> Reading:
        """What was added since `before`; what is less now was counted anew from nothing."""
        earlier = before.counts
        grown = {key: now - earlier.get(key, 0.0) for key, now in self.counts.items()}
        return Reading({key: self.counts[key] if more < 0 else more for key, more in grown.items()})

    def plus(self, more: Reading) -> Reading:
        """Both together."""
        keys = dict.fromkeys((*self.counts, *more.counts))
        return Reading({key: self.counts.get(key, 0.0) + more.counts.get(key, 0.0) for key in keys})


@dataclass(frozen=True, slots=True)
class Window:
    """What some variants did in a while: requests, those failed (5xx) or refused (4xx), how long they took."""

    requests: float = 0.0
    errors: float = 0.0
    # Upper bounds in seconds and how many requests took no longer, ascending.
    latencies: tuple[tuple[float, float], ...] = ()
    refused: float = 0.0

    def rate(self, count: float) -> float | None:
        """That many of the requests, as a share of them."""
        return count / self.requests if self.requests else None

    @property
    def timed(self) -> float:
        """How many requests have a measured time."""
        return self.latencies[-1][1] if self.latencies else 0.0

    def quantile(self, share: float) -> float | None:
        """The seconds that this share of the requests stayed within; between two bounds, as if spread evenly."""
        if not self.timed:
            return None
        wanted = share * self.timed
        lower, below = 0.0, 0.0
        for bound, count in self.latencies:
            if count >= wanted:
                if bound == float("inf"):  # All that is known: longer than the last bound.
                    return lower
                within = (wanted - below) / (count - below) if count > below else 1.0
                return lower + (bound - lower) * within
            lower, below = bound, count
        return lower

    def slower(self, seconds: float) -> float:
        """How many requests took longer than that."""
        if not self.timed:
            return 0.0
        points = ((0.0, 0.0), *self.latencies)
        for (lower, below), (bound, count) in pairwise(points):
            if seconds < bound:
                within = 0.0 if bound == float("inf") else (seconds - lower) / (bound - lower)
                return self.timed - (below + (count - below) * within)
        return 0.0


def read(text: str, endpoint: str, source: str = "") -> Reading:
    """The counts of one endpoint in a server's metrics; `source` tells servers apart."""
    counts: dict[Series, float] = {}
    for key, value in _samples(text, endpoint, source):
        counts[key] = counts.get(key, 0.0) + value
    return Reading(counts)


def window(added: Reading, variants: Collection[str]) -> Window:
    """What these variants did, all sources together."""
    requests = errors = refused = 0.0
    latencies: dict[float, float] = {}
    for (_, kind, variant, told), count in added.counts.items():
        if variant not in variants:
            continue
        if kind == _SECONDS:
            latencies[float(told)] = latencies.get(float(told), 0.0) + count
        else:
            requests += count
            errors += count if told.startswith("5") else 0.0
            refused += count if told.startswith("4") else 0.0
    return Window(requests, errors, tuple(sorted(latencies.items())), refused)


def _samples(text: str, endpoint: str, source: str) -> Iterator[tuple[Series, float]]:
    # Only who watches a rollout needs the parser.
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _OF_INTEREST and sample.labels.get("model_name") == endpoint:
                (told,) = (sample.labels.get(label, "") for label in _OF_INTEREST[sample.name])
                yield (source, sample.name, sample.labels.get("variant", ""), told), sample.value
