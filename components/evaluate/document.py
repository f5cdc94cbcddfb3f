"""An evaluation as JSON: the Metrics file, and what Kubeflow Pipelines draws from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.evaluate import classes
from components.evaluate import curve as curves
from components.evaluate.evaluate import Evaluation
from orchestrator.model.manifest import Class

VERSION = 1


def metrics(evaluation: Evaluation) -> str:
    """The Metrics file; numbers that are not finite are written as words, since JSON has none for them."""
    baseline = evaluation.baseline
    document = {
        "version": VERSION,
        "problem": evaluation.problem,
        "rows": evaluation.rows,
        "metrics": _written(evaluation.measured.metrics),
        "baseline": baseline
        and {
            "name": baseline.name,
            "version": baseline.version,
            "metrics": _written(baseline.measured.metrics),
        },
        "slices": [
            {"slice": dict(each.where), "rows": each.rows, "metrics": _written(each.metrics)}
            for each in evaluation.slices
        ],
        "notes": list(evaluation.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def metadata(evaluation: Evaluation) -> dict[str, float]:
    """The metrics that are finite, flat, as the KFP UI lists them."""
    return {name: value for name, value in evaluation.measured.metrics.items() if math.isfinite(value)}


def classification(evaluation: Evaluation) -> dict[str, Any]:
    """Confusion matrix and ROC curve in the words of KFP's ClassificationMetrics; {} where there is neither."""
    answers = evaluation.measured.answers
    if answers is None or answers.broken:
        return {}
    document: dict[str, Any] = {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": label(each)} for each in answers.labels],
            "rows": [{"row": row} for row in classes.confusion(answers).tolist()],
        }
    }
    curve = curves.thinned(classes.whole_curve(answers))
    if np.isfinite(curve.recall).all() and np.isfinite(curve.false_positive_rate).all():
        points = zip(curve.thresholds, curve.recall, curve.false_positive_rate, strict=True)
        document["confidenceMetrics"] = [
            {"confidenceThreshold": float(at), "recall": float(recall), "falsePositiveRate": float(fall)}
            for at, recall, fall in points
        ]
    return document


def label(each: Class) -> str:
    """A class as it is shown."""
    return str(each).lower() if isinstance(each, bool) else str(each)


def _written(values: Mapping[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else _word(value) for name, value in values.items()}


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
