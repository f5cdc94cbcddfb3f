"""Keras on TensorFlow, trained for real on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.tables import dataset
from orchestrator import program
from orchestrator.model import folder

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "components" / "train"
EVALUATE = ROOT / "components" / "evaluate"
PENGUINS = ROOT / "pipelines" / "penguins" / "data" / "penguins.csv"
ARGUMENTS = {
    "data": PENGUINS,
    "target": "species",
    "features": ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"],
    "algorithm": "keras",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> program.Result:
    pytest.importorskip("tensorflow")
    hyperparameters = {"layers": [16], "epochs": 12, "batch_size": 16, "learning_rate": 0.02}
    return program.invoke(
        COMPONENT, {**ARGUMENTS, "hyperparameters": hyperparameters}, tmp_path_factory.mktemp("keras")
    )


def test_learns_and_shows_its_progress(trained: program.Result, tmp_path: Path) -> None:
    assert trained.code == 0, trained.stderr
    progress = [line for line in trained.stdout.splitlines() if line.startswith("::progress")]
    assert [line.split()[1] for line in progress] == [f"{epoch}/12" for epoch in range(1, 13)]
    model = trained.artifacts["model"]
    assert sorted(file.name for file in model.iterdir()) == ["model.json", "model.keras", "transform.json"]
    done = program.invoke(EVALUATE, {"model": model, "data": PENGUINS}, tmp_path)
    assert done.code == 0, done.stderr
    assert done.parameters["f1"] > 0.95


def test_a_network_that_was_changed_is_not_loaded(trained: program.Result, tmp_path: Path) -> None:
    import shutil

    from orchestrator.errors import OrchestratorError

    changed = shutil.copytree(trained.artifacts["model"], tmp_path / "model")
    (changed / "model.keras").write_bytes(b"PK" + bytes(100))
    with pytest.raises(OrchestratorError, match=r"is not intact: model\.keras"):
        folder.load(changed)


def test_predictions_that_are_not_numbers_fail_closed(tmp_path: Path) -> None:
    """A rate so high that the weights overflow: the model is written, and evaluate says that its F1 is no number."""
    hyperparameters = {"layers": [8], "epochs": 8, "learning_rate": 1e38}
    made = program.invoke(COMPONENT, {**ARGUMENTS, "hyperparameters": hyperparameters}, tmp_path / "made")
    assert made.code == 0, made.stderr
    done = program.invoke(EVALUATE, {"model": made.artifacts["model"], "data": PENGUINS}, tmp_path / "out")
    assert done.code == 0, done.stderr
    assert np.isnan(done.parameters["f1"])
    assert '"f1": "NaN"' in done.artifacts["metrics"].read_text()
    assert "some predictions are not numbers" in done.stdout


def test_without_tensorflow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "tensorflow.py").write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\")\n")
    data = tmp_path / "data"
    dataset.write(dataset.read(PENGUINS).slice(0, 200), data)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"))
    done = program.invoke(COMPONENT, {**ARGUMENTS, "data": data}, tmp_path / "out")
    assert done.code == 1
    assert done.stderr.splitlines() == [
        "error: the algorithm keras needs TensorFlow, which is not installed",
        "  hint: pip install 'orchestrator[tensorflow]'",
    ]
