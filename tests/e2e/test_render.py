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
from orchestrator import registry, settings
from orchestrator.deployment import exported, resolved, stored
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.model.onnx.export import Wanted
from orchestrator.serving.kserve import servers
from orchestrator.serving.kserve.objects import Place

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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry: of `weights` it has one version, with an ONNX form, and endpoint files for both."""
    made = tmp_path_factory.mktemp("project")
    table = pd.read_csv(PENGUINS)[[*COLUMNS, "body_mass_g"]].dropna()
    trained = train(
        table.iloc[::2], Request("random_forest", target="body_mass_g", hyperparameters={"n_estimators": 9})
    )
    folder.save(made / "trained", trained.manifest, trained.transform, trained.estimator)
    table.iloc[1::2].to_csv(made / "rows.csv", index=False)
    chosen = settings.read({"ORC_STATE": str(made / ".orc")}, made)
    versions = registry.open(chosen.tracking_uri, state=chosen.state)
    digest = folder.digest(made / "trained")
    versions.create(
        "weights",
        model=made / "trained",
        digest=digest,
        metrics={},
        parameters={},
        tags={},
        approval="approved",
        reason="",
        run="",
        alias="champion",
    )
    exported.onnx("weights", made / "rows.csv", None, Wanted(), chosen, by="a test")
    for form in ("native", "onnx"):
        (made / f"{form}.yaml").write_text(ENDPOINT.replace("FORMAT", form))
    return made


def render(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ORC_STATE": str(project / ".orc"), "COLUMNS": "80"}
    environment.pop("ORC_TRACKING_URI", None)
    command = [str(ORC), "endpoint", "render", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def test_the_onnx_form_is_laid_where_triton_looks_for_it(project: Path) -> None:
    file = project / "served" / "weights" / "weights" / "1" / "weights" / "1" / "model.onnx"
    asked = ["onnx.yaml", "--server", "triton", "--storage", str(project / "served"), "--namespace", "ml"]
    written = render(project, *asked, "--upload", "--output", "manifests.yaml")
    assert (written.returncode, written.stdout, written.stderr) == (0, "", f"uploaded: {file}\n")
    assert [each.name for each in onnxruntime.InferenceSession(file).get_inputs()] == COLUMNS
    service, policy = yaml.safe_load_all((project / "manifests.yaml").read_text())
    model = service["spec"]["predictor"]["model"]
    assert (model["runtime"], model["storageUri"]) == ("kserve-tritonserver", str(project / "served/weights/weights/1"))
    assert (policy["kind"], policy["metadata"]["namespace"]) == ("NetworkPolicy", "ml")


def test_what_is_printed_is_for_kubectl_alone(project: Path) -> None:
    asked = ["onnx.yaml", "--server", "triton", "--storage", "s3://models", "--caller", "ingress"]
    printed = render(project, *asked)
    assert printed.returncode == 0
    assert printed.stderr == "expected: s3://models/weights/weights/1/weights/1/model.onnx\n"
    kinds = [each["kind"] for each in yaml.safe_load_all(printed.stdout)]
    assert kinds == ["InferenceService", "NetworkPolicy"]
    watched = render(project, *asked, "--monitor")
    assert (watched.returncode, watched.stdout) == (1, "")
    assert "a ServiceMonitor finds our server alone" in watched.stderr
    assert "kind: ServiceMonitor" in render(project, "onnx.yaml", "--monitor").stdout


REFUSED = [
    ("native", "triton", "s3://x", "is served as it was trained, and triton takes ONNX"),
    ("native", "sklearn", "s3://x", "transforms its columns first (impute), which KServe's scikit-learn server"),
    ("onnx", "openvino", "", "where the server openvino finds its models is not said"),
    ("onnx", "openvino", "s3://x", "which OpenVINO lacks"),
]


@pytest.mark.parametrize(("form", "server", "storage", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_be_served_otherwise_is_refused(
    project: Path, form: str, server: str, storage: str, message: str
) -> None:
    chosen = settings.read({"ORC_STATE": str(project / ".orc")}, project)
    place = Place("ml", server=servers.ALL[server], storage=storage)
    with pytest.raises(OrchestratorError) as refused:
        resolved.for_cluster(project / f"{form}.yaml", chosen, place, by="server")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place("ml"), "our server fetches its models from the registry"),
        (Place("ml", server=servers.ALL["triton"], storage="pvc://models"), "nothing can be written to pvc://models"),
    ],
    ids=["ours", "a volume"],
)
def test_models_are_not_written_where_nobody_looks(project: Path, place: Place, message: str) -> None:
    chosen = settings.read({"ORC_STATE": str(project / ".orc")}, project)
    declaration = resolved.for_cluster(project / "onnx.yaml", chosen, place, by="server")
    with pytest.raises(OrchestratorError, match=message):
        stored.store(declaration, place)
