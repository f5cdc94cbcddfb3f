"""The penguins pipeline with a pod for every task: restricted, of its own images, as the account of runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from bed.running import Site

from orchestrator import runs, settings
from orchestrator.images import lock
from orchestrator.runners import arguments, local
from orchestrator.runners.events import Event, RunFinished, Status, TaskFinished
from orchestrator.runners.local import starting
from orchestrator.runs import loaded
from orchestrator.stores.artifacts import DECISION

ROOT = Path(__file__).parent.parent.parent
PIPELINE = "pipelines/penguins"
ACCOUNT = "orchestrator-runner"


@dataclass
class Ran:
    """What came of a run."""

    events: list[Event]

    @property
    def end(self) -> RunFinished:
        last = self.events[-1]
        assert isinstance(last, RunFinished)
        return last

    @property
    def tasks(self) -> Mapping[str, TaskFinished]:
        return {each.task.name: each for each in self.events if isinstance(each, TaskFinished)}

    def given(self, task: str, name: str) -> Any:
        """An output parameter of a task."""
        return self.tasks[task].outputs.parameters[name]

    @property
    def metrics(self) -> dict[str, float]:
        """Those of the model, as evaluate wrote them."""
        written = self.tasks["evaluate"].outputs.artifacts["metrics"][0].path.read_text()
        found: dict[str, float] = json.loads(written)["metrics"]
        return found

    @property
    def decision(self) -> tuple[str, str]:
        outputs = self.tasks["publish"].outputs
        held = [each for row in outputs.artifacts.values() for each in row if each.type == DECISION]
        return str(held[0].metadata["decision"]), str(held[0].metadata["reason"])


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> lock.Lock:
    """The images of the pipeline: built by `orc build` and given to the node, or of a lock whose images it has."""
    if known := os.environ.get("ORC_TEST_LOCK"):
        found = lock.read(Path(known))
        assert found
        return found
    if not os.environ.get("ORC_TEST_BASE"):
        pytest.skip("needs images: `make cluster` builds them as root, with dockerd, debootstrap and PyPI")
    folder = tmp_path_factory.mktemp("images")
    _shortened(folder)
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "build",
        "pipeline.yaml",
        "--engine",
        "/usr/bin/docker",
        "--network",
        "host",
    ]
    command += ["--base", os.environ["ORC_TEST_BASE"]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = lock.read(folder / "pipeline.lock.yaml")
    assert found
    # One archive: what images share is in it once.
    save = [os.environ["ORC_TEST_DOCKER"], "save", *sorted(each.reference for each in found.images.values())]
    with subprocess.Popen(save, stdout=subprocess.PIPE) as saved:
        into = [*os.environ["ORC_TEST_IMPORT"].split(), "-"]
        done = subprocess.run(into, stdin=saved.stdout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the pipeline."""
    return _shortened(tmp_path / "project")


def _shortened(folder: Path) -> Path:
    """The pipeline without its last task, which needs a cluster with KServe (test_deploy.py)."""
    shutil.copytree(ROOT / PIPELINE, folder, ignore=shutil.ignore_patterns(".orc", "*.lock.yaml"), dirs_exist_ok=True)
    document = yaml.safe_load((folder / "pipeline.yaml").read_text())
    del document["tasks"]["deploy"]
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


@pytest.fixture
def site(api: Any, node_namespace: str, tmp_path: Path) -> Iterator[Site]:
    """An account without rights, and a claim whose volume is the folder of the test."""
    namespace, volume = node_namespace, f"{node_namespace}-files"
    tmp_path.chmod(0o755)  # It is the top of the volume, and the user of a pod is not its owner.
    named = {"apiVersion": "v1", "metadata": {"name": ACCOUNT}}
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {**named, "kind": "ServiceAccount"})
    size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
    held = {"capacity": size, "accessModes": modes, "storageClassName": "", "hostPath": {"path": str(tmp_path)}}
    held["claimRef"] = {"namespace": namespace, "name": "files"}
    api.create("/api/v1/persistentvolumes", _object("PersistentVolume", volume, held))
    asked = {"accessModes": modes, "storageClassName": "", "resources": {"requests": size}, "volumeName": volume}
    api.create(
        f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", _object("PersistentVolumeClaim", "files", asked)
    )
    registry = {**named, "kind": "ConfigMap", "data": {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/state/mlflow.db"}}
    registry["metadata"] = {"name": "orchestrator"}
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", registry)
    yield Site(namespace, ACCOUNT, "files", tmp_path)
    api.delete(f"/api/v1/persistentvolumes/{volume}")


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_pods_come_to_what_processes_come_to(
    site: Site, project: Path, images: lock.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pods = _in_pods(project, images, site, tmp_path / "state", monkeypatch)
    assert in_pods.end.status is Status.SUCCEEDED, in_pods.end.reason
    here = _here(project, tmp_path / "here")
    assert in_pods.tasks.keys() == here.tasks.keys()
    for name in ("f1", "score"):
        ours, theirs = in_pods.given("evaluate", name), here.given("evaluate", name)
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert in_pods.end.outputs.parameters["f1"] == in_pods.given("evaluate", "f1")
    # Everything is told right here, so that F1 alone would not show a difference.
    assert in_pods.metrics["log_loss"] == pytest.approx(here.metrics["log_loss"], rel=1e-6)
    assert in_pods.decision == here.decision
    assert in_pods.decision[0] == "published"
    for name in ("ingest", "evaluate", "publish", "report"):
        _stayed_inside(site, name)


def _stayed_inside(site: Site, task: str) -> None:
    """The pod ran as somebody without rights, in an image of ours, and the level "restricted" let it in."""
    listed = json.loads(site.kubectl("get", "pods", "--output", "json").stdout)["items"]
    pod = next(each for each in listed if each["metadata"]["name"].endswith(f"-{task}"))
    assert pod["spec"]["serviceAccountName"] == ACCOUNT
    assert pod["spec"]["nodeName"] == "worker"
    assert pod["metadata"]["labels"]["pipeline"] == "penguins"
    assert pod["status"]["containerStatuses"][0]["imageID"].startswith("sha256:")


def _in_pods(project: Path, images: lock.Lock, site: Site, state: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setattr(starting, "Containers", site)
    file = project / "pipeline.yaml"
    found = loaded.load(file)
    pipeline = lock.pinned(found.pipeline, images)
    told = settings.read({"ORC_STATE": str(state)}, project)
    state.mkdir()
    request = local.Request(
        "penguins-1",
        pipeline,
        found.platform,
        arguments.complete(pipeline, {}),
        told,
        found.base,
        found.code_paths,
        use_cache=False,
        containers=True,
    )
    return Ran(list(local.run(request, lambda _: None)))


def _here(project: Path, state: Path) -> Ran:
    told = settings.read({"ORC_STATE": str(state)}, project)
    return Ran(list(runs.start(project / "pipeline.yaml", {}, told, runs.Options(cache=False))))
