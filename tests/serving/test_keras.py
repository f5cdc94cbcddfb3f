"""A Keras model behind the same endpoint, its transform included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.train.train import Request, train
from orchestrator.model import folder
from orchestrator.serving import local


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Of Keras itself, with numpy 2.
def test_a_keras_model_is_served(
    state: Path, tmp_path: Path, table: pd.DataFrame, penguins: Any, declaration: Callable[..., Any], ask: Any
) -> None:
    request = Request("keras", target="species", hyperparameters={"epochs": 2, "layers": [8]})
    trained = train(table.drop(columns=["id", "year"]), request)
    path = tmp_path / "model"
    folder.save(path, trained.manifest, trained.transform, trained.estimator)
    examples = [dict(each) for each in trained.manifest.example]
    expected = folder.load(path).predict_records(examples)
    declared = declaration("keras", type(penguins)(path, folder.digest(path), examples, []))
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    for _ in range(20):
        reply = ask(url, "/v1/models/keras:predict", {"instances": examples})
        assert (reply.status, reply.json["predictions"]) == (200, expected.values.tolist())
    assert ask(url, "/v2/models/keras").json["platform"] == "keras"
