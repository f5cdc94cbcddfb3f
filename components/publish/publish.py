"""The decision, and what follows from it: a version in the registry, or nothing at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from components.publish import gate
from components.publish.gate import Decision, Outcome
from components.publish.measures import Measures
from orchestrator import registry
from orchestrator.errors import OrchestratorError, did_you_mean
from orchestrator.model import folder, manifest

APPROVALS = ("approved", "pending")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that wants to be a version, and what it is to be called."""

    model: Path
    digest: str
    name: str
    alias: str
    approval: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version would go, and the run it would come from."""

    tracking_uri: str
    state: Path
    run: str
    pipeline: str


def candidate(model: Path, *, name: str, alias: str, approval: str) -> Candidate:
    """The model with its digest; what the registry would refuse is refused before anything is decided."""
    registry.check_name(name)
    if alias:
        registry.check_alias(alias)
    if approval not in APPROVALS:
        hint = did_you_mean(approval, APPROVALS)
        raise OrchestratorError(f"approval: expected {' or '.join(APPROVALS)}, not {approval!r}", hint=hint)
    manifest.read(model)
    return Candidate(model, folder.digest(model), name, alias, approval)


def decide(rules: Sequence[object], measured: Measures, *, unsafe_without_gate: bool) -> Decision:
    """The gate's decision on these measures."""
    return gate.decide(
        rules,
        measured.metrics,
        measured.baseline.metrics if measured.baseline else None,
        measured.slices,
        unsafe_without_gate=unsafe_without_gate,
    )


def publish(
    candidate: Candidate, measured: Measures, decision: Decision, place: Place
) -> tuple[Decision, registry.ModelVersion | None]:
    """Do what was decided. A model that a person rejected stays rejected, whatever its metrics."""
    if decision.outcome is not Outcome.PUBLISHED:
        return decision, None
    if not place.tracking_uri:
        raise OrchestratorError(
            "there is no registry to publish to", hint="set MLFLOW_TRACKING_URI, e.g. to sqlite:////path/mlflow.db"
        )
    made = manifest.read(candidate.model)
    training = made.training
    try:
        version = registry.open(place.tracking_uri, state=place.state).create(
            candidate.name,
            model=candidate.model,
            digest=candidate.digest,
            metrics={name: value for name, value in measured.metrics.items() if math.isfinite(value)},
            parameters={"algorithm": made.algorithm, "seed": training.seed, **training.hyperparameters},
            tags={"problem": made.problem, "target": made.target or "", "data.digest": training.digest},
            approval=candidate.approval,
            reason=decision.reason,
            run=place.run,
            alias=candidate.alias or None,
            experiment=place.pipeline,
        )
    except registry.RejectedError as refusal:
        return replace(decision, outcome=Outcome.REJECTED, reason=refusal.message), None
    return decision, version


def sentence(decision: Decision, version: registry.ModelVersion | None) -> str:
    """The outcome in one line."""
    if version is None:
        return f"{decision.outcome.value}: {decision.reason}"
    state = f" ({version.approval.value})" if version.approval is not registry.Approval.APPROVED else ""
    return f"published: {version.name} version {version.version}{state}, {decision.reason}"


def document(
    candidate: Candidate,
    measured: Measures,
    decision: Decision,
    version: registry.ModelVersion | None,
    *,
    at: datetime,
) -> dict[str, Any]:
    """The Decision file: enough to know, years later, what was decided on which numbers."""
    baseline = measured.baseline
    return {
        "version": 1,
        "decision": decision.outcome.value,
        "reason": decision.reason,
        "rules": [
            {
                "rule": check.rule,
                "left": check.left,
                "operator": check.operator,
                "right": check.right,
                "passed": check.passed,
                "note": check.note,
            }
            for check in decision.checks
        ],
        "model": {"name": candidate.name, "version": version.version if version else "", "digest": candidate.digest},
        "metrics": _written(measured.metrics),
        "baseline": {"name": baseline.name, "version": baseline.version, "metrics": _written(baseline.metrics)}
        if baseline
        else None,
        "at": at.isoformat(timespec="seconds"),
    }


def _written(metrics: Mapping[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else _word(value) for name, value in metrics.items()}


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
