"""What the documents among a run's artifacts say: metrics, decisions, endpoints, statistics, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from components.report import loose, record, words
from components.report.facts import (
    Anomaly,
    Column,
    Endpoint,
    Evaluation,
    Gate,
    Metric,
    Model,
    Rule,
    Statistics,
    Table,
    Variant,
)
from components.report.record import Record
from orchestrator.serving import example
from orchestrator.stores.artifacts import Artifact
from orchestrator.stores.metadata import TaskRecord

HEADLINES = {
    "classification": ("f1", "accuracy", "auc", "log_loss"),
    "regression": ("rmse", "mae", "r2", "mape"),
    "clustering": ("silhouette", "inertia", "clusters"),
}
_NUMBERS = ("min", "median", "mean", "max", "std")

Made = Sequence[tuple[TaskRecord, Artifact]]


def evaluations(made: Made, kept: Record) -> tuple[Evaluation, ...]:
    """The metrics of every task that measured; of a document that is gone, what the record kept of it."""
    return tuple(
        found
        for task, artifact in made
        if artifact.type == record.METRICS
        if (found := _evaluation(task, artifact, kept.documents.get(artifact.uri))).metrics
    )


def gates(made: Made, kept: Record) -> tuple[Gate, ...]:
    """The decisions about models."""
    return tuple(
        _gate(task, artifact, kept.documents.get(artifact.uri))
        for task, artifact in made
        if artifact.type == record.DECISION
    )


def endpoints(made: Made, kept: Record) -> tuple[Endpoint, ...]:
    """What was deployed."""
    return tuple(
        _endpoint(task, artifact, kept.documents.get(artifact.uri))
        for task, artifact in made
        if artifact.type == record.ENDPOINT
    )


def tables(made: Made) -> tuple[Table, ...]:
    """The datasets whose maker said how large they are."""
    return tuple(
        Table(task.name, artifact.name, rows, loose.whole(artifact.metadata, "columns"), artifact.digest)
        for task, artifact in made
        if artifact.type == record.DATASET
        if (rows := loose.whole(artifact.metadata, "rows")) is not None
    )


def statistics(made: Made, kept: Record) -> tuple[Statistics, ...]:
    """The statistics of the columns."""
    found = []
    for task, artifact in made:
        document = kept.documents.get(artifact.uri)
        if artifact.type == record.STATISTICS and document is not None:
            rows = loose.whole(document, "rows")
            columns = tuple(_column(each, rows) for each in loose.mappings(document, "columns"))
            found.append(Statistics(task.name, rows, columns))
    return tuple(each for each in found if each.columns)


def anomalies(made: Made, kept: Record) -> tuple[Anomaly, ...]:
    """The problems of the data, errors first."""
    found = [
        Anomaly(
            task.name,
            *(loose.text(each, key) for key in ("column", "type", "severity", "message", "short")),
        )
        for task, artifact in made
        if artifact.type == record.ANOMALIES
        for each in loose.mappings(kept.documents.get(artifact.uri), "anomalies")
    ]
    return tuple(sorted(found, key=lambda anomaly: anomaly.severity != "error"))


def models(made: Made, kept: Record) -> tuple[Model, ...]:
    """What the manifests of the models say."""
    return tuple(
        _model(task, artifact, kept.documents.get(artifact.uri))
        for task, artifact in made
        if artifact.type == record.MODEL
    )


def _evaluation(task: TaskRecord, artifact: Artifact, document: Any) -> Evaluation:
    measured = loose.mapping(document, "metrics") or artifact.metadata
    before = loose.mapping(document, "baseline", "metrics")
    metrics = tuple(
        Metric(str(name), value, loose.number(before, name))
        for name in measured
        if (value := loose.number(measured, name)) is not None
    )
    problem = loose.text(document, "problem")
    against = " version ".join(
        filter(None, (loose.text(document, "baseline", "name"), loose.text(document, "baseline", "version")))
    )
    named = {metric.name: metric for metric in metrics}
    # A document of somebody else's component names no problem: whatever headline it has is one.
    wanted = HEADLINES.get(problem) or tuple(name for names in HEADLINES.values() for name in names)
    headlines = tuple(named[name] for name in wanted if name in named)[:4] or metrics[:4]
    return Evaluation(task.name, problem, loose.whole(document, "rows"), against if before else "", metrics, headlines)


def _gate(task: TaskRecord, artifact: Artifact, document: Any) -> Gate:
    rules = tuple(
        Rule(
            loose.text(each, "rule"),
            loose.number(each, "left"),
            loose.text(each, "operator"),
            loose.number(each, "right"),
            passed if isinstance(passed := each.get("passed"), bool) else None,
            loose.text(each, "note"),
        )
        for each in loose.mappings(document, "rules")
    )
    uri = loose.text(task.outputs.parameters, "version")
    name, _, version = uri.removeprefix("models:/").rpartition("/")
    return Gate(
        task.name,
        loose.text(document, "model", "name") or name or loose.text(task.inputs.parameters, "name"),
        loose.text(document, "model", "version") or version,
        loose.text(document, "decision") or loose.text(artifact.metadata, "decision"),
        loose.text(document, "reason") or loose.text(artifact.metadata, "reason"),
        rules,
        words.iso(loose.text(document, "at")),
        loose.text(task.inputs.parameters, "approval") == "pending",
        task.cached_from.partition("/")[0],
    )


def _endpoint(task: TaskRecord, artifact: Artifact, document: Any) -> Endpoint:
    about: Mapping[str, Any] = loose.mapping(document) or artifact.metadata
    name, url = loose.text(about, "name"), loose.text(about, "url")
    variants = tuple(
        Variant(
            loose.text(each, "name"),
            loose.text(each, "model"),
            loose.text(each, "version"),
            loose.text(each, "digest"),
            loose.number(each, "weight"),
        )
        for each in loose.mappings(document, "variants")
    ) or (Variant("", loose.text(about, "model"), loose.text(about, "version"), "", None),)
    inputs = loose.mappings(document, "example", "inputs")[:1]
    server = url.removesuffix(f"/v1/models/{name}")
    curl = example.curl(server, name, inputs) if inputs and name and server != url else ""
    return Endpoint(task.name, name or artifact.name, url, words.iso(loose.text(about, "declared_at")), variants, curl)


def _column(column: Mapping[str, Any], rows: int | None) -> Column:
    counts, labels = _drawn(column)
    missing = loose.whole(column, "missing")
    return Column(
        loose.text(column, "name"),
        loose.text(column, "type"),
        missing,
        missing / rows if missing is not None and rows else None,
        loose.whole(column, "distinct"),
        tuple(_number(column, name) for name in _NUMBERS),
        counts,
        labels,
    )


def _number(column: Mapping[str, Any], name: str) -> float | str | None:
    number = loose.number(column, name)
    if number is not None:
        return number
    text = loose.text(column, name)
    # The day is enough of a timestamp for a narrow cell.
    return (text[:10] if loose.text(column, "type") == "timestamp" else text) or None


def _drawn(column: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Heights and labels of a column's bars: its histogram, or its most frequent values."""
    edges = loose.listed(column, "histogram", "edges")
    counts = [each for each in loose.listed(column, "histogram", "counts") if isinstance(each, int) and each >= 0]
    if counts and len(edges) == len(counts) + 1:
        return tuple(counts), tuple(f"{low} to {high}" for low, high in pairwise(edges))
    top = [(loose.whole(each, "count") or 0, str(each.get("value"))) for each in loose.mappings(column, "top")]
    if not top or top[0][0] <= 1:
        return (), ()
    return tuple(max(count, 0) for count, _ in top), tuple(label for _, label in top)


def _model(task: TaskRecord, artifact: Artifact, document: Any) -> Model:
    about = loose.mapping(document) or artifact.metadata
    training = loose.mapping(document, "training")
    chosen = loose.mapping(training, "hyperparameters")
    rows = loose.whole(training, "rows")
    facts = {
        "Algorithm": loose.text(about, "algorithm").replace("_", " "),
        "Problem": loose.text(about, "problem"),
        "Target": loose.text(about, "target"),
        "Classes": ", ".join(map(str, loose.listed(document, "classes"))),
        "Hyperparameters": ", ".join(f"{name} = {value}" for name, value in chosen.items()) or "defaults",
        "Seed": loose.text(training, "seed") or loose.text(about, "seed"),
        "Trained on": f"{rows:,} rows" if rows is not None else "",
        "Training data sha256": loose.text(training, "digest"),
        "Kind of file": loose.text(about, "flavor"),
        "Model sha256": artifact.digest,
        "Made with": ", ".join(f"{name} {version}" for name, version in loose.mapping(document, "versions").items()),
    }
    inputs = [
        f"{loose.text(each, 'name')} ({loose.text(each, 'type')})"
        for each in loose.mappings(document, "signature", "inputs")
    ]
    features = list(map(str, loose.listed(training, "features")))
    facts["Inputs"] = ", ".join(inputs)
    facts["Features"] = f"{len(features)}: {', '.join(features)}" if features else ""
    return Model(task.name, tuple((name, value) for name, value in facts.items() if value))
