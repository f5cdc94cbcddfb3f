"""`orc endpoint render`: from a registered version to objects for kubectl, and to the file another server is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]
import pandas as pd
import pytest
import yaml

from components.train.train import Request, train
from orchestrator import registry
from orchestrator.model import folder

PENGUINS = Path(__file__).resolve().parents[2] / "pipelines" / "penguins" / "data" / "penguins.csv"
ORC = Path(sys.executable).parent / "orc"
COLUMNS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]
ENDPOINT = """\
apiVersion: orchestrator/v1
kind: Endpoint
metadata: {name: weights}
variants:
  - {name: main, model: weights, format: FORMAT}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a registry: of `weights` it has one version, a regression that takes its columns as they are."""
    table = pd.read_csv(PENGUINS)[[*COLUMNS, "body_mass_g"]].dropna()
    trained = train(
        table.iloc[::2], Request("random_forest", target="body_mass_g", hyperparameters={"n_estimators": 9})
    )
    folder.save(tmp_path / "trained", trained.manifest, trained.transform, trained.estimator)
    table.iloc[1::2].to_csv(tmp_path / "rows.csv", index=False)
    versions = registry.open(f"sqlite:///{tmp_path}/.orc/mlflow.db", state=tmp_path / ".orc")
    digest = folder.digest(tmp_path / "trained")
    told = {"metrics": {}, "parameters": {}, "tags": {}, "approval": "approved", "reason": "", "run": ""}
    versions.create("weights", model=tmp_path / "trained", digest=digest, alias="champion", **told)
    return tmp_path


def orc(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ORC_STATE": str(project / ".orc"), "COLUMNS": "80"}
    environment.pop("ORC_TRACKING_URI", None)
    command = [str(ORC), *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def test_the_onnx_form_is_laid_where_triton_looks_for_it(project: Path) -> None:
    (project / "endpoint.yaml").write_text(ENDPOINT.replace("FORMAT", "onnx"))
    asked = ["endpoint", "render", "endpoint.yaml", "--server", "triton", "--storage", str(project / "served")]
    before = orc(project, *asked)
    assert (before.returncode, before.stdout) == (1, "")
    assert "models:/weights/1 has no ONNX form" in before.stderr
    exported = orc(project, "export", "--onnx", "weights", "--data", "rows.csv")
    assert exported.returncode == 0, exported.stderr

    file = project / "served" / "weights" / "weights" / "1" / "weights" / "1" / "model.onnx"
    printed = orc(project, *asked, "--namespace", "ml")
    assert (printed.returncode, printed.stderr) == (0, f"expected: {file}\n")
    assert not file.exists()
    service, policy = yaml.safe_load_all(printed.stdout)
    model = service["spec"]["predictor"]["model"]
    assert (model["runtime"], model["storageUri"]) == ("kserve-tritonserver", str(project / "served/weights/weights/1"))
    assert (policy["kind"], policy["metadata"]["namespace"]) == ("NetworkPolicy", "ml")

    written = orc(project, *asked, "--upload", "--output", "manifests.yaml")
    assert (written.returncode, written.stdout, written.stderr) == (0, "", f"uploaded: {file}\n")
    assert [each.name for each in onnxruntime.InferenceSession(file).get_inputs()] == COLUMNS
    assert (project / "manifests.yaml").read_text() == printed.stdout.replace("namespace: ml", "namespace: default")


def test_what_would_be_served_otherwise_is_refused(project: Path) -> None:
    (project / "endpoint.yaml").write_text(ENDPOINT.replace("FORMAT", "native"))
    asked = ["endpoint", "render", "endpoint.yaml"]
    for arguments, message in (
        (["--server", "triton", "--storage", "s3://x"], "is served as it was trained, and triton takes ONNX"),
        (["--server", "sklearn", "--storage", "s3://x"], "transforms its columns first (impute), which"),
        (["--server", "openvino"], "endpoint.yaml:5:3: where the server openvino finds its models is not said"),
        (["--upload"], "our server fetches its models from the registry"),
    ):
        found = orc(project, *asked, *arguments)
        assert found.returncode in (1, 2), found.stderr
        assert message in found.stderr
        assert (found.stdout, "Traceback" in found.stderr) == ("", False)
    watched = orc(project, *asked, "--monitor", "--caller", "ingress")
    assert [each["kind"] for each in yaml.safe_load_all(watched.stdout)] == [
        "InferenceService",
        "NetworkPolicy",
        "ServiceMonitor",
    ]
