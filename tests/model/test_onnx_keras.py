"""A network as ONNX, by Keras's own export: written where TensorFlow is, answering where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.train.train import Request, train
from orchestrator.model import folder
from orchestrator.model.onnx import export, form

PENGUINS = Path(__file__).parent.parent.parent / "pipelines" / "penguins" / "data" / "penguins.csv"


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of Keras, TensorFlow and tf2onnx themselves.
@pytest.mark.parametrize("target", ["species", "body_mass_g"])
def test_a_network_is_exported(tmp_path: Path, target: str) -> None:
    hyperparameters: dict[str, Any] = {"epochs": 2, "layers": [8], "dropout": 0.1}
    table = pd.read_csv(PENGUINS).dropna(subset=[target])
    trained = train(table, Request("keras", target=target, hyperparameters=hyperparameters))
    folder.save(tmp_path / "model", trained.manifest, trained.transform, trained.estimator)
    table.to_csv(tmp_path / "rows.csv", index=False)
    made = export.export(tmp_path / "model", tmp_path / "rows.csv", tmp_path / "form")
    assert made.gate.passed
    assert made.gate.rows == len(table)
    loaded = form.load(tmp_path / "form", made.digest)
    assert loaded.manifest.flavor == "onnx"
    assert loaded.form.wiring.precision == "float32"
