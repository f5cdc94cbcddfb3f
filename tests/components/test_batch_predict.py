"""The component batch_predict, run as a program; and the choices it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from components.batch_predict import batch_predict
from components.tables import dataset
from components.train.train import Request, train
from orchestrator import registry, source
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.model.folder import Model
from orchestrator.serving.batch import plan

if TYPE_CHECKING:
    from .conftest import Invoke


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parents[2] / "pipelines/penguins/data/penguins.csv")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Model:
    trained = train(table.drop(columns=["id", "year"]), Request("logistic_regression", target="species"))
    path = tmp_path_factory.mktemp("models") / "model"
    folder.save(path, trained.manifest, trained.transform, trained.estimator)
    return folder.load(path)


def test_a_dataset_becomes_predictions_in_its_order(
    invoke: Invoke, model: Model, table: pd.DataFrame, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    dataset.write(dataset.plain(pa.Table.from_pandas(table, preserve_index=False), "data"), data)
    done = invoke("batch_predict", model=model.path, data=data, join="input")
    assert (done.code, done.stderr) == (0, "")
    assert done.parameters == {"rows": len(table), "bad": 0}
    assert "not read: id, year" in done.stdout
    found = dataset.read(done.artifacts["predictions"]).to_pandas()
    assert found["id"].tolist() == table["id"].tolist()
    inputs = [column.name for column in model.manifest.signature.inputs]
    records = table[inputs].astype(object).where(table[inputs].notna(), None).to_dict("records")
    assert found["prediction.species"].tolist() == model.predict_records(records).values.tolist()
    assert done.artifacts["quarantine"].read_bytes() == b""
    assert done.metadata["predictions"]["model_sha256"] == folder.digest(model.path)


def test_bad_records_are_told_in_the_log_of_a_task_that_fails_of_them(
    invoke: Invoke, model: Model, tmp_path: Path
) -> None:
    data = tmp_path / "new.jsonl"
    data.write_text('{"island": "Dream", "bill_length_mm": 39.1}\n{"island": 3}\n')
    done = invoke("batch_predict", model=model.path, data=data)
    assert done.code == 1
    assert done.stderr.startswith("error: 1 record is bad, more than 0; the first: new.jsonl:2: ")
    logged = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert (logged["line"], logged["input"]) == (2, '{"island": 3}')
    assert "predictions" not in done.artifacts


def test_files_elsewhere_are_predicted_by_an_approved_version(invoke: Invoke, model: Model, tmp_path: Path) -> None:
    state = tmp_path / "state"
    uri = f"sqlite:///{state / 'mlflow.db'}"
    state.mkdir()
    for approval in ("approved", "pending"):
        registry.open(uri, state=state).create(
            "penguins",
            model=model.path,
            digest=folder.digest(model.path),
            metrics={},
            parameters={},
            tags={},
            approval=approval,
            reason="",
            run=approval,
            alias="champion",
        )
    (tmp_path / "new").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "new" / name).write_text('{"bill_length_mm": 39.1}\n')
    given: dict[str, Any] = {"uri": f"{tmp_path}/new/*.jsonl", "to": str(tmp_path / "out")}
    environment = {"MLFLOW_TRACKING_URI": uri, "ORC_STATE": str(state)}
    done = invoke("batch_predict", version="penguins", environment=environment, **given)
    assert (done.code, done.stderr) == (0, "")
    assert "penguins version 1: predictions for 2 records" in done.stdout
    places = [json.loads(line)["predictions"] for line in done.artifacts["predictions"].read_text().splitlines()]
    assert places == [str(tmp_path / "out" / f"{name}.jsonl.out") for name in "ab"]
    assert json.loads(Path(places[0]).read_text()).keys() == {"species", "probabilities"}
    with pytest.raises(OrchestratorError, match="penguins/2 is pending"):
        batch_predict.model(None, "penguins/2", environment)


def test_one_model_and_one_source_are_wanted(tmp_path: Path) -> None:
    for path, version in ((None, ""), (tmp_path, "penguins")):
        with pytest.raises(OrchestratorError) as refused:
            batch_predict.model(path, version, {})
        assert "give one of model" in refused.value.hint
    with pytest.raises(OrchestratorError, match="MLFLOW_TRACKING_URI is not set"):
        batch_predict.model(None, "penguins", {})
    out = tmp_path / "out"
    for data, uri in ((None, ""), (tmp_path, "s3://bucket/key")):
        with pytest.raises(OrchestratorError) as refused:
            batch_predict.places(data, uri, "", out)
        assert "give one of data" in refused.value.hint
    with pytest.raises(OrchestratorError, match="holds a password"):
        batch_predict.places(None, "sftp://me:secret@host/file", "", out)
    with pytest.raises(OrchestratorError, match="is no place of its own"):
        batch_predict.places(tmp_path, "", "there", out)
    assert batch_predict.places(tmp_path, "", "", out).target == str(out)


def test_what_a_task_leaves_out_is_what_the_library_does() -> None:
    file = Path(__file__).parents[2] / "components/batch_predict/component.yaml"
    defaults = {name: each.get("default") for name, each in source.read(file).data["inputs"].items()}
    assert batch_predict.planned(defaults) == plan.Plan()
