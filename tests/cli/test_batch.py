"""`orc batch`: predictions for a file by a folder, a version or the variant of an endpoint file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from components.train.train import Request, train
from orchestrator import registry
from orchestrator.deployment import batches
from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model import folder

if TYPE_CHECKING:
    from tests.cli.conftest import Orc

PENGUINS = Path(__file__).parents[2] / "pipelines" / "penguins" / "data" / "penguins.csv"
ENDPOINT = """\
apiVersion: orchestrator/v1
kind: Endpoint
metadata: {name: penguins}
mode: batch
variants:
  - {name: old, model: penguins/1, weight: 0.1}
  - {name: new, model: penguins, weight: 0.9}
limits: {body: 1Ki, timeout: 30s}
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose registry has two approved versions of a model."""
    state = tmp_path_factory.mktemp("registered")
    table = pd.read_csv(PENGUINS).drop(columns=["id", "year"])
    versions = registry.open(f"sqlite:///{state / 'mlflow.db'}", state=state)
    for strength in (1.0, 0.1):
        trained = train(table, Request("logistic_regression", target="species", hyperparameters={"C": strength}))
        model = tmp_path_factory.mktemp("models") / "model"
        folder.save(model, trained.manifest, trained.transform, trained.estimator)
        versions.create(
            "penguins",
            model=model,
            digest=folder.digest(model),
            metrics={},
            parameters={},
            tags={},
            approval="approved",
            reason="",
            run=str(strength),
            alias="champion",
        )
    return state


def test_a_file_is_predicted_for_by_the_largest_variant_of_an_endpoint(orc: Orc, state: Path, tmp_path: Path) -> None:
    (tmp_path / "endpoint.yaml").write_text(ENDPOINT)
    (tmp_path / "new.csv").write_text("\n".join(PENGUINS.read_text().splitlines()[:4]) + "\n4," + "x" * 2000 + "\n")
    asked = ["batch", "endpoint.yaml", "--input", "new.csv", "--output", "out/new.csv", "--join"]
    environment = {"ORC_STATE": str(state)}
    done = orc(*asked, "--error-threshold", "25%", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith("penguins version 2: 4 records in ")
    assert first.endswith(", 1 of them bad")
    assert rest == [
        "  predictions  out/new.csv",
        "  bad records  out/new.csv.quarantine.jsonl",
        "  not read     id, year",
    ]
    (bad,) = (tmp_path / "out" / "new.csv.quarantine.jsonl").read_text().splitlines()
    # By the limit of the endpoint file.
    assert json.loads(bad)["reason"] == "the record is larger than 1,024 bytes"
    found = pd.read_csv(tmp_path / "out" / "new.csv")
    assert found["prediction.species"].tolist()[:3] == ["Adelie"] * 3


def test_what_is_predicted_by_is_named_in_many_ways(state: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{state / 'mlflow.db'}"
    file = tmp_path / "endpoint.yaml"
    file.write_text(ENDPOINT)

    def found(named: str, variant: str = "") -> batches.Asked:
        return batches.find(named, variant, tracking_uri=uri, state=state)

    newest = found("penguins")
    assert newest.model.label == "penguins version 2"
    assert newest == found("penguins@champion") == found("models:/penguins/2")
    of_file = found(str(file))
    assert of_file.model == newest.model
    assert (of_file.payload, of_file.seconds) == (1024, 30.0)
    assert found(str(file), "old").model.label == "penguins version 1"
    own = found(str(newest.model.path))
    assert (own.model.digest, own.payload) == (newest.model.digest, None)
    with pytest.raises(OrchestratorError) as refused:
        found(str(file), "nwe")
    assert refused.value.hint == "did you mean 'new'?"
    with pytest.raises(OrchestratorError, match="has no variants"):
        found("penguins", "new")
    with pytest.raises(NotFoundError, match=r"there is no file 'other.yaml'"):
        found("other.yaml")
    with pytest.raises(NotFoundError, match="there is no model"):
        found(str(tmp_path))


def test_what_became_of_a_batch_is_told_to_machines(orc: Orc, state: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"bill_length_mm": 39.1}\n{"bill_length_mm": 50, "beak": 1}\n')
    model = batches.find("penguins", "", tracking_uri=f"sqlite:///{state / 'mlflow.db'}", state=state).model
    done = orc("batch", str(model.path), "--input", "new.jsonl", "--output", "out.parquet", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told.pop("seconds") > 0
    assert told == {
        "model": str(model.path),
        "digest": model.digest,
        "records": 2,
        "bad": 0,
        "outputs": ["out.parquet"],
        "quarantine": "",
        "unread": ["beak"],
    }
    assert pd.read_parquet(tmp_path / "out.parquet").columns[0] == "species"
