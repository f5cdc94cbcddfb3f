"""What evaluate measured, read from its Metrics file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.publish.gate import Slice
from orchestrator.errors import OrchestratorError

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The version that the candidate was compared with, measured on the same data."""

    name: str
    version: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measures:
    """The metrics of the candidate, of the baseline if there is one, and of the slices."""

    problem: str
    rows: int
    metrics: Mapping[str, float]
    baseline: Baseline | None
    slices: tuple[Slice, ...]


def read(file: Path) -> Measures:
    """The measures in a Metrics file; a value that is no number is left out, which leaves a rule on it undecided."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        baseline = document.get("baseline")
        return Measures(
            problem=str(document.get("problem", "")),
            rows=int(document.get("rows") or 0),
            metrics=_numbers(document["metrics"]),
            baseline=_baseline(baseline) if baseline is not None else None,
            slices=tuple(
                Slice({column: _word(value) for column, value in each["slice"].items()}, _numbers(each["metrics"]))
                for each in document.get("slices") or ()
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise OrchestratorError(
            f"the metrics {file} cannot be read: {said}", hint="metrics is the output `metrics` of evaluate"
        ) from error


def _baseline(document: Mapping[str, Any]) -> Baseline:
    return Baseline(str(document.get("name", "")), str(document.get("version", "")), _numbers(document["metrics"]))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if value in _NOT_FINITE or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def _word(value: Any) -> str:
    """A value of a column as a rule writes it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
