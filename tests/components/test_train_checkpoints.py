"""A training that is killed goes on from its last checkpoint, and comes to the model it would have come to anyway."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.train.checkpoint import Checkpoint, find
from orchestrator import program
from orchestrator.model import folder

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "components" / "train"
PENGUINS = ROOT / "pipelines" / "penguins" / "data" / "penguins.csv"
TREES = {"algorithm": "gradient_boosting", "hyperparameters": {"max_iter": 150, "learning_rate": 0.01}}
NETWORK = {"algorithm": "keras", "hyperparameters": {"layers": [8], "epochs": 6, "dropout": 0.2}}
LONG = 120


def train(arguments: Mapping[str, Any], at: Path, checkpoints: Path | None = None) -> program.Result:
    features = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    given = {"data": PENGUINS, "target": "species", "features": features, **arguments}
    return program.invoke(COMPONENT, given, at, environment={"ORC_CHECKPOINTS": str(checkpoints or "")})


def killed(arguments: Mapping[str, Any], at: Path, checkpoints: Path) -> int:
    """Kill a training as soon as it has kept something; returns how much that is."""
    with ThreadPoolExecutor() as pool:
        running = pool.submit(train, arguments, at, checkpoints)
        limit = time.monotonic() + LONG
        while not (found := list(checkpoints.glob("*/state.json"))):
            assert time.monotonic() < limit
            assert not running.done(), running.result().stderr
            time.sleep(0.005)
        os.kill(int(Path(json.loads(found[0].read_text())["file"]).stem.split("-")[1]), signal.SIGKILL)
        assert running.result().code == -signal.SIGKILL
    return int(json.loads(found[0].read_text())["done"])


def probabilities(result: program.Result) -> Any:
    model = folder.load(result.artifacts["model"])
    return model.predict_matrix(np.random.default_rng(0).normal(40, 10, (50, len(model.transform.features))))


@pytest.mark.parametrize(
    ("arguments", "unit", "count"),
    [
        pytest.param(TREES, "trees", 150, id="trees"),
        pytest.param(NETWORK, "epochs", 6, id="network", marks=pytest.mark.tensorflow),
    ],
)
def test_a_killed_training_goes_on(arguments: Mapping[str, Any], unit: str, count: int, tmp_path: Path) -> None:
    if unit == "epochs":
        pytest.importorskip("tensorflow")
    checkpoints = tmp_path / "checkpoints"
    done = killed(arguments, tmp_path / "first", checkpoints)
    kept = shutil.copytree(checkpoints, tmp_path / "kept")
    again = train(arguments, tmp_path / "second", checkpoints)
    assert again.code == 0, again.stderr
    assert f"went on after {done} {unit} of an earlier attempt: " in again.stdout
    reached = [line.split()[1] for line in again.stdout.splitlines() if line.startswith("::progress")]
    first, last = (int(text.partition("/")[0]) for text in (reached[0], reached[-1]))
    assert done < first < last == count
    assert not list(checkpoints.iterdir()), "a training that has ended keeps nothing"
    whole = train(arguments, tmp_path / "whole", tmp_path / "others")
    assert "went on" not in whole.stdout
    assert np.array_equal(probabilities(again).probabilities, probabilities(whole).probabilities)
    if unit == "trees":
        _is_no_other(kept, tmp_path)


def _is_no_other(kept: Path, at: Path) -> None:
    """A checkpoint is not taken for that of another training, and a broken one not at all."""
    other = train({**TREES, "seed": 1}, at / "other", kept)
    assert other.code == 0
    assert "went on" not in other.stdout
    (file,) = kept.glob("*/*.joblib")
    file.write_bytes(b"broken")
    anew = train(TREES, at / "anew", kept)
    assert anew.code == 0
    assert "warning: the checkpoint cannot be used, and the training begins anew: " in anew.stdout + anew.stderr


def test_a_folder_nobody_may_write_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    without = train(TREES, tmp_path / "third", tmp_path / "file")
    assert without.code == 0
    assert (without.stdout + without.stderr).count("warning: no checkpoint can be kept in ") == 1


def test_savings_are_what_was_not_done_again(tmp_path: Path) -> None:
    now = [100.0]
    first = Checkpoint(tmp_path, clock=lambda: now[0])
    assert first.begin(Path.read_text, "epochs") == (None, 0)
    now[0] += 30
    first.keep(3, lambda file: file.write_text("three") and None, ".txt")
    assert first.told() == ""
    second = Checkpoint(tmp_path, clock=lambda: now[0])
    assert second.begin(Path.read_text, "epochs") == ("three", 3)
    now[0] += 10
    # savings = (1 - billable / total) x 100
    assert second.told() == "went on after 3 epochs of an earlier attempt: 75 % of 40.0 s saved"


def test_a_tenth_of_the_time_goes_into_checkpoints(tmp_path: Path) -> None:
    now, saved = [0.0], []
    kept = Checkpoint(tmp_path, clock=lambda: now[0])

    def save(file: Path) -> None:
        now[0] += 1
        saved.append(file.write_text(""))

    for epoch in range(100):
        now[0] += 1
        kept.keep(epoch, save, ".txt")
    assert 8 <= len(saved) <= 13
    assert len(list(tmp_path.glob("*.txt"))) == 1


def test_what_a_training_works_on_tells_it_from_others(tmp_path: Path) -> None:
    def at(**work: Any) -> Path | None:
        return find({"ORC_CHECKPOINTS": str(tmp_path)}, work, lambda _: None).folder

    assert at(seed=1, digest="a") == at(digest="a", seed=1) != at(seed=2, digest="a")
    assert find({}, {}, lambda _: None).folder is None
