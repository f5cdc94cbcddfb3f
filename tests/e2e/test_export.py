"""From a registered version to its ONNX form, and from `format: onnx` in an endpoint file to an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.train.train import Request, train
from orchestrator import registry, source
from orchestrator.deployment import resolved, served
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.registry import ModelVersion, Registry
from orchestrator.serving import declarations, endpoint, local

PENGUINS = Path(__file__).resolve().parents[2] / "pipelines" / "penguins" / "data" / "penguins.csv"
ORC = Path(sys.executable).parent / "orc"
ENDPOINT = """\
apiVersion: orchestrator/v1
kind: Endpoint
metadata: {name: penguins}
variants:
  - {name: main, model: penguins, weight: 1}
  - {name: fast, model: penguins, weight: 1, format: onnx}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One approved version of a forest, trained on every other penguin; the rest is for comparing."""
    tmp_path = tmp_path_factory.mktemp("project")
    table = pd.read_csv(PENGUINS)
    request = Request("random_forest", target="species", hyperparameters={"n_estimators": 30, "min_samples_leaf": 4})
    trained = train(table.iloc[::2], request)
    path = tmp_path / "trained"
    folder.save(path, trained.manifest, trained.transform, trained.estimator)
    table.iloc[1::2].to_csv(tmp_path / "rows.csv", index=False)
    opened(tmp_path).create(
        "penguins",
        model=path,
        digest=folder.digest(path),
        metrics={},
        parameters={},
        tags={},
        approval="approved",
        reason="a test",
        run="",
        alias="champion",
    )
    return tmp_path


def opened(project: Path) -> Registry:
    return registry.open(f"sqlite:///{project}/.orc/mlflow.db", state=project / ".orc")


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ORC_STATE": str(folder / ".orc"), "COLUMNS": "80"}
    environment.pop("ORC_TRACKING_URI", None)
    command = [str(ORC), "export", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def declared(version: ModelVersion) -> declarations.Declaration:
    spec = endpoint.parse(source.parse(ENDPOINT, "endpoint.yaml"))
    return resolved.declaration(spec, {"main": version, "fast": version})


def test_a_version_is_served_as_onnx_while_its_form_answers_alike(project: Path) -> None:
    models = opened(project)
    with pytest.raises(OrchestratorError, match="models:/penguins/1 has no ONNX form") as refused:
        declared(models.version("penguins@champion"))
    assert "orc export --onnx penguins/1 --data FILE" in refused.value.hint

    ran = export(project, "--onnx", "penguins", "--data", "rows.csv", "--to", "edge")
    assert ran.returncode == 0, ran.stderr
    assert "rows compared       172\nlabels that differ  0 (at most 0)" in ran.stdout
    version = models.version("penguins@champion")
    assert version.onnx is not None
    assert version.onnx.digest == folder.digest(project / "edge")

    made = declared(version)
    assert [(each.format, each.digest) for each in made.variants] == [
        ("native", version.digest),
        ("onnx", version.onnx.digest),
    ]
    # What a pod is told has no paths; it fetches the form by its digest.
    told = made.model_copy(update={"variants": tuple(each.model_copy(update={"path": ""}) for each in made.variants)})
    assert served.fetched(told, models.version, patience=1).variants == made.variants
    _answers(project / ".orc", made)

    strict = ("--precision", "float32", "--difference", "0")
    ran = export(project, "--onnx", "penguins/1", "--data", "rows.csv", "--to", "strict", *strict)
    assert ran.returncode == 1, ran.stdout
    assert "does not answer as the model does, and was not kept" in ran.stderr
    assert not (project / "strict").exists()
    with pytest.raises(OrchestratorError, match="did not pass its gate: of 172 rows 0 labels differ"):
        declared(models.version("penguins/1"))


def _answers(state: Path, made: declarations.Declaration) -> None:
    local.declare(state, made)
    server = local.ensure(state)
    try:
        local.wait_ready(server.url, made)
        answers: list[Any] = [local.send_example(made, server.url, variant=name).response for name in ("main", "fast")]
    finally:
        local.stop(state)
    assert answers[0]["predictions"] == answers[1]["predictions"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("penguins/1", "--data", "rows.csv"), "as what is it to be exported?"),
        (("--onnx", "penguins/7", "--data", "rows.csv"), "penguins/7"),
        (("--onnx", "penguins/1", "--data", "none.csv"), "none.csv"),
        (("--onnx", "trained", "--data", "rows.csv"), "a folder has no record to keep the form in"),
    ],
)
def test_what_cannot_be_exported_says_why(project: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = export(project, *arguments)
    assert ran.returncode in (1, 4)
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
