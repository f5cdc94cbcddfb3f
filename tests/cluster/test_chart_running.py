"""The chart where pods really run: MLflow in its own image, proved by `helm test`, and its data after an uninstall."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helm.conftest import CHART, Helm, program

IMAGE = "localhost:5001/orchestrator/mlflow:0.1.0"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image of MLflow, under the name that the chart gives it: built by `orc build`, or a node that has it."""
    if os.environ.get("ORC_TEST_MLFLOW"):
        return
    if not os.environ.get("ORC_TEST_BASE"):
        pytest.skip("needs images: `make cluster` builds them as root, with dockerd, debootstrap and PyPI")
    registry, tag = IMAGE.split("/", maxsplit=1)[0], IMAGE.rpartition(":")[2]
    command = [sys.executable, "-m", "orchestrator", "build", "mlflow", "--registry", registry, "--tag", tag]
    command += ["--engine", os.environ["ORC_TEST_DOCKER"], "--network", "host", "--base", os.environ["ORC_TEST_BASE"]]
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with subprocess.Popen([os.environ["ORC_TEST_DOCKER"], "save", IMAGE], stdout=subprocess.PIPE) as saved:
        into = [*os.environ["ORC_TEST_IMPORT"].split(), "-"]
        done = subprocess.run(into, stdin=saved.stdout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def volume(api: Any, node_namespace: str, tmp_path: Path) -> Iterator[str]:
    """A class of storage with one volume: a folder of the test."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    for each in (tmp_path, *tmp_path.parents[:1]):
        each.chmod(0o755)
    name = f"{node_namespace}-data"
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": name,
        "hostPath": {"path": str(folder)},
    }
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    api.create("/api/v1/persistentvolumes", made)
    yield name
    api.delete(f"/api/v1/persistentvolumes/{name}")


def _ask(address: str, method: str, path: str, body: Mapping[str, Any] | None = None, host: str = "") -> Any:
    """MLflow, asked at the address of its pod under a name."""
    connection = http.client.HTTPConnection(address, 5000, timeout=60)
    text = json.dumps(body).encode() if body else None
    headers = {"Host": host or "orchestrator-mlflow:5000", "Content-Type": "application/json"}
    connection.request(method, f"/api/2.0/mlflow/registered-models/{path}", text, headers)
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, answer


def test_mlflow_runs_is_proved_and_keeps_its_data(
    api: Any, definitions: None, image: None, node_namespace: str, volume: str, tmp_path: Path
) -> None:
    found = program("helm")
    if found is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    helm = Helm(found, tmp_path / "helm", seconds=420)
    where = ("--namespace", node_namespace)
    values = f"servingRuntime.kind=ServingRuntime,mlflow.volume.storageClass={volume},mlflow.volume.size=1Gi"
    waiting = ("--wait", "--timeout", "400s")

    def install() -> str:
        done = helm("upgrade", "--install", "orchestrator", CHART, *where, "--set", values, *waiting)
        assert done.returncode == 0, done.stdout + done.stderr
        selector = "labelSelector=app.kubernetes.io/component%3Dmlflow"
        (pod,) = api.get(f"/api/v1/namespaces/{node_namespace}/pods?{selector}")["items"]
        return str(pod["status"]["podIP"])

    address = install()
    status, text = _ask(address, "POST", "create", {"name": "penguins"})
    assert status == 200, text
    status, _ = _ask(address, "GET", "get?name=penguins", host="evil.example.com")
    assert status == 403

    # Names of services, accounts and their rights, as the pods of the test find them.
    tested = helm("test", "orchestrator", *where, "--timeout", "300s")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert tested.stdout.count("Succeeded") == 4, tested.stdout

    gone = helm("uninstall", "orchestrator", *where, "--wait", "--timeout", "120s")
    assert gone.returncode == 0, gone.stderr
    claim = api.get(f"/api/v1/namespaces/{node_namespace}/persistentvolumeclaims/orchestrator-mlflow")
    assert claim["status"]["phase"] == "Bound"
    status, text = _ask(install(), "GET", "get?name=penguins")
    assert status == 200, text
    assert json.loads(text)["registered_model"]["name"] == "penguins"
