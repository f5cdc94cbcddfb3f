"""How a new version takes over an endpoint: at once or by shares, watched by alarms that put the old one back."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from orchestrator.serving import quantity
from orchestrator.serving.quantity import Bound, Pause
from orchestrator.source import Document

Strategy = Literal["all_at_once", "canary", "linear"]
Metric = Literal["error_rate", "refused_rate", "p50", "p90", "p99", "requests"]
MAX_ALARMS = 10
LONGEST_SECONDS = 60.0
"""The last bound of the buckets that answers are counted in: what is longer is not told apart."""


class Alarm(Document):
    """A bound that the new version must keep: of the server's own metric, or of a query to Prometheus."""

    name: str = ""
    metric: Metric | None = None
    query: str = ""
    above: Bound | None = None
    below: Bound | None = None

    @model_validator(mode="after")
    def _whole(self) -> Alarm:
        if (self.metric is None) == (not self.query):
            raise ValueError("an alarm watches a metric or a query, one of the two", "for example metric: error_rate")
        if (self.above is None) == (self.below is None):
            raise ValueError("an alarm has one bound", "write above or below, with a number")
        bound = (self.above if self.above is not None else self.below) or 0.0
        if self.metric in ("error_rate", "refused_rate") and not 0 <= bound < 1:
            raise ValueError(f"{self.metric} is a share of the requests, and {bound:g} is none", "write 5% or 0.05")
        if self.metric in ("p50", "p90", "p99") and not 0 <= bound < LONGEST_SECONDS:
            told = f"{self.metric} is a time of less than {LONGEST_SECONDS:g} s, not {bound:g} s"
            raise ValueError(told, "write a time, such as 500ms")
        return self

    @property
    def label(self) -> str:
        return self.name or self.metric or self.query


class Rollout(Document):
    """The way of a new version into service."""

    strategy: Strategy = "all_at_once"
    # Percent of the traffic: of the canary, or of every increase of a linear rollout.
    size: int = Field(default=10, ge=1, le=50)
    # For how long alarms are watched after each change of shares.
    bake: Pause = "0s"
    alarms: tuple[Alarm, ...] = Field(default=(), max_length=MAX_ALARMS)
    # Where queries are answered.
    prometheus: str = ""

    @field_validator("prometheus")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if "@" in parts.netloc:  # Not repeated here: the message may end in a log.
            raise ValueError("an address with a password in it would be written to files", "leave out USER:PASSWORD@")
        if url and (parts.scheme not in ("http", "https") or not parts.netloc):
            raise ValueError(f"{url!r} is not an address of HTTP", "for example http://prometheus:9090")
        return url

    @model_validator(mode="after")
    def _guarded(self) -> Rollout:
        if self.strategy != "all_at_once" and not self.alarms:
            raise ValueError(
                f"a {self.strategy} rollout without an alarm could never be rolled back",
                "add alarms: [{metric: error_rate, above: 1%}]",
            )
        if self.strategy != "all_at_once" and not self.bake_seconds:
            raise ValueError(f"a {self.strategy} rollout watches its alarms for a while", "add bake: 5m")
        if self.alarms and not self.bake_seconds:
            raise ValueError("nobody looks at the alarms: they are watched for 0s", "add bake: 5m")
        if any(alarm.query for alarm in self.alarms) and not self.prometheus:
            raise ValueError("an alarm asks Prometheus, and nobody says where that is", "add prometheus: URL")
        names = [alarm.label for alarm in self.alarms]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two alarms are named {twice!r}", "give each a name of its own")
        return self

    @property
    def bake_seconds(self) -> float:
        return quantity.seconds(self.bake)
