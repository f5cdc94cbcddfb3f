"""What the page tells, as values: a page is made from these and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a run ended, for a reader."""

    DEPLOYED = "deployed"
    PUBLISHED = "published"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to the first question: a word and a sentence."""

    kind: Kind
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of the candidate beside the baseline's."""

    name: str
    value: float | None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one task measured; `against` names the baseline."""

    task: str
    problem: str
    rows: int | None
    against: str
    metrics: tuple[Metric, ...]
    headlines: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the gate with both numbers; `passed` is None when it was skipped or could not be decided."""

    text: str
    left: float | None
    operator: str
    right: float | None
    passed: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A decision about a model."""

    task: str
    model: str
    version: str
    decision: str
    reason: str
    rules: tuple[Rule, ...]
    at: str
    pending: bool = False
    """Published, and waiting for a person's approval."""
    taken_from: str = ""
    """The run that decided, where this one took its decision from the cache."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model version behind an endpoint."""

    name: str
    model: str
    version: str
    digest: str
    weight: float | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What was deployed, and how to ask it."""

    task: str
    name: str
    url: str
    declared_at: str
    variants: tuple[Variant, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A task in time; `start` is in seconds after the run's."""

    name: str
    path: str
    component: str
    status: str
    start: float | None
    seconds: float | None
    attempts: int
    reason: str
    cached_from: str
    log: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the run; `default` is "" where there is none, and `changed` None where that is not known."""

    name: str
    value: str
    default: str
    changed: bool | None
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset's size."""

    task: str
    name: str
    rows: int | None
    columns: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column's statistics; `counts` and `labels` draw it."""

    name: str
    type: str
    missing: int | None
    missing_share: float | None
    distinct: int | None
    numbers: tuple[float | str | None, ...]
    """Minimum, median, mean, maximum, standard deviation."""
    counts: tuple[int, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A problem found in the data."""

    task: str
    column: str
    type: str
    severity: str
    message: str
    short: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics one task took."""

    task: str
    rows: int | None
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What is written in a model's manifest, as labels and texts."""

    task: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class File:
    """An artifact; `link` is "" where a browser could not follow it."""

    task: str
    name: str
    type: str
    size: int
    digest: str
    uri: str
    link: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the page tells, in the order in which a reader asks."""

    title: str
    pipeline: str
    run: str
    outcome: Outcome
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    started: float | None = None
    evaluations: tuple[Evaluation, ...] = ()
    gates: tuple[Gate, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    bars: tuple[Bar, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    tables: tuple[Table, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    checked: bool = False
    """Whether some task looked for anomalies, so that none found means something."""
    models: tuple[Model, ...] = ()
    files: tuple[File, ...] = ()
    made: tuple[tuple[str, str], ...] = ()
