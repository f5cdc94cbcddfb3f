"""Models for the servers: a linear one and a forest, fitted to the same rows, in folders of ours and by joblib."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from orchestrator.model import folder as folders
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Column, Signature
from orchestrator.model.transform import Transform
from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration

NAMES = ("a", "b", "c", "d")
# Endpoint: the model, its form, whether requests are captured.
ENDPOINTS = {
    "linear": ("linear", "native", False),
    "captured": ("linear", "native", True),
    "linear-onnx": ("linear", "onnx", False),
    "forest-onnx": ("forest", "onnx", False),
}


@dataclass(frozen=True, slots=True)
class Models:
    """What was fitted, and rows to ask for."""

    rows: np.ndarray[Any, Any]
    joblib: Mapping[str, Path]
    folders: Mapping[str, Path]


def models(folder: Path) -> Models:
    """Fit both, and write them in both forms."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, len(NAMES)))
    labels = (rows @ [1.0, -2.0, 0.5, 0.0] > 0).astype(int)
    estimators = {
        "linear": LogisticRegression(),
        "forest": RandomForestClassifier(100, random_state=0, n_jobs=1),
    }
    dumped, saved = {}, {}
    for name, estimator in estimators.items():
        estimator.fit(rows, labels)
        dumped[name] = folder / f"{name}.joblib"
        joblib.dump(estimator, dumped[name])
        saved[name] = folder / name
        inputs = tuple(Column(each, "number") for each in NAMES)
        manifest = Manifest(
            "sklearn",
            name,
            "classification",
            Signature(inputs, (Column("y", "integer"),)),
            classes=(0, 1),
            example=(dict(zip(NAMES, rows[0].tolist(), strict=True)),),
        )
        folders.save(saved[name], manifest, Transform(inputs, (), NAMES), estimator)
    return Models(rows, dumped, saved)


def declared(folder: Path, models: Models, only: str = "") -> Path:
    """A state folder with an endpoint for each model and form."""
    state = folder / "state"
    for name, (model, form, captured) in ENDPOINTS.items():
        if only in ("", name):
            path = models.folders[model] if form == "native" else _converted(models, model)
            declarations.write(state, _declaration(name, path, form, folder / "captured" if captured else None))
    return state


def _converted(models: Models, name: str) -> Path:
    """The ONNX form, made once: by the same gate as anybody's."""
    from orchestrator.model.onnx import export

    path = models.folders[name].with_name(f"{name}-onnx")
    if not path.exists():
        data = path.with_suffix(".csv")
        header = ",".join(NAMES)
        np.savetxt(data, models.rows[:500], delimiter=",", header=header, comments="", fmt="%.17g")
        done = export.export(models.folders[name], data, path)
        assert done.gate.passed, done.gate
    return path


def _declaration(name: str, path: Path, form: str, captured: Path | None) -> Declaration:
    variant = {"name": "main", "model": "bench"}
    spec: dict[str, Any] = {
        "apiVersion": "orchestrator/v1",
        "kind": "Endpoint",
        "metadata": {"name": name},
        "variants": [variant],
    }
    if captured:
        spec["capture"] = {"to": str(captured), "sample": 100}
    found = {**variant, "version": "1", "path": str(path), "digest": folders.digest(path), "format": form}
    return Declaration.model_validate_json(json.dumps({"name": name, "variants": [found], "spec": spec}))
