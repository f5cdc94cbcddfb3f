"""What is installed on a cluster, and the cluster on one machine: pinned, on loopback, and of one piece."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import yaml

from orchestrator import settings
from tests.kustomize.conftest import MANIFESTS, ROOT

UPSTREAM = sorted(MANIFESTS.glob("upstream/*/kustomization.yaml"))
KIND = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
SCRIPT = MANIFESTS / "cluster-up.sh"


@pytest.mark.parametrize("file", UPSTREAM, ids=lambda file: file.parent.name)
def test_what_comes_from_elsewhere_is_one_release(file):
    for resource in yaml.safe_load(file.read_text())["resources"]:
        assert re.search(r"[?&]ref=\d+\.\d+\.\d+(&|$)|/releases/download/v\d+\.\d+\.\d+/", resource), resource


def test_both_parts_of_kubeflow_pipelines_are_of_one_release():
    text = "".join(file.read_text() for file in UPSTREAM if file.parent.name.startswith("kfp"))
    assert len(set(re.findall(r"ref=([\d.]+)", text))) == 1


def test_the_settings_of_kserve_are_json():
    patches = yaml.safe_load((MANIFESTS / "upstream/kserve/kustomization.yaml").read_text())["patches"]
    data = yaml.safe_load(patches[0]["patch"])["data"]
    assert yaml.safe_load(data["deploy"]) == {"defaultDeploymentMode": "Standard"}
    assert yaml.safe_load(data["ingress"])["disableIngressCreation"] is True


def test_kind_has_a_control_plane_and_two_workers_of_which_one_has_gpus():
    control, plain, gpu = KIND["nodes"]
    assert [control["role"], plain["role"], gpu["role"]] == ["control-plane", "worker", "worker"]
    assert "labels" not in plain
    # What `resources.accelerator.product` asks for, and what NVIDIA's own plug-in would say.
    assert {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.product": "NVIDIA-H200"}.items() <= gpu["labels"].items()
    join = yaml.safe_load(gpu["kubeadmConfigPatches"][0])
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    assert join["nodeRegistration"]["taints"] == [taint]


def test_kind_listens_on_loopback_only_and_maps_every_fixed_port():
    mapped = [each for node in KIND["nodes"] for each in node.get("extraPortMappings", ())]
    assert {each["listenAddress"] for each in mapped} == {KIND["networking"]["apiServerAddress"]} == {"127.0.0.1"}
    fixed = (MANIFESTS / "kind/kustomization.yaml").read_text()
    fixed += (ROOT / "helm/orchestrator/ci/kind-values.yaml").read_text()
    assert {each["containerPort"] for each in mapped} == {int(port) for port in re.findall(r"nodePort: (\d+)", fixed)}


def test_cluster_up_is_a_sound_script():
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


def test_cluster_up_says_what_is_missing(tmp_path):
    ended = _up(tmp_path)
    assert ended.returncode == 1
    assert "error: kubectl is not installed\n  hint: docs/kubernetes.md" in ended.stderr


def test_cluster_up_touches_no_other_cluster_than_it_was_told(tmp_path):
    """Whatever the kubeconfig's current context is: without a kind cluster nothing is asked but whether it is there."""
    asked = tmp_path / "asked"
    _program(tmp_path, "kubectl", f'echo "$@" >> {asked}; exit 1')
    ended = _up(tmp_path)
    assert ended.returncode == 1
    assert "error: no cluster answers as the context kind-orchestrator" in ended.stderr
    assert "kind create cluster --config kind-config.yaml" in ended.stderr
    assert asked.read_text() == "--context kind-orchestrator get --raw /readyz\n"


def test_cluster_up_refuses_a_part_it_does_not_have(tmp_path):
    _program(tmp_path, "kubectl", "exit 0")
    ended = _up(tmp_path, "kserv")
    assert ended.returncode == 1
    assert "error: there is no part kserv\n  hint: registry, gpu," in ended.stderr


def test_cluster_up_writes_the_settings_once_and_no_secret(tmp_path):
    """What `orc run --on kfp` needs to know: after this, only the keys of the object store are left to export."""
    up = _copy(tmp_path)
    ended = _up(tmp_path, "settings", script=up)
    assert ended.returncode == 0, ended.stderr
    found = settings.read({}, tmp_path)
    assert (found.kfp_url, found.images_registry) == ("http://localhost:8080", "localhost:5001")
    assert (found.cluster_context, found.cluster_namespace) == ("kind-orchestrator", "kubeflow")
    assert found.kfp_files.split("://")[1] == found.kfp_files_in_cluster.split("://")[1]
    written = (tmp_path / "orc.toml").read_text()
    # The demo of this clone goes on with a registry of its own, and keys are exported, never written.
    assert "tracking_uri" not in written
    assert "minio123" not in written
    exports = re.search(r"export (.*)", ended.stdout)[1]
    assert re.findall(r"(\w+)=", exports) == ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]

    assert (tmp_path / "asked").read_text().splitlines()[
        -1
    ] == "config set-context kind-orchestrator --namespace kubeflow"

    (tmp_path / "orc.toml").write_text('kfp_url = "http://mine:8080"\n')
    assert _up(tmp_path, "settings", script=up).returncode == 0
    assert (tmp_path / "orc.toml").read_text() == 'kfp_url = "http://mine:8080"\n'


def test_cluster_up_writes_no_settings_of_kind_for_another_cluster(tmp_path):
    ended = _up(tmp_path, "settings", script=_copy(tmp_path), CONTEXT="prod")
    assert ended.returncode == 1
    assert "error: these settings are those of kind\n  hint: docs/existing-cluster.md" in ended.stderr
    assert not (tmp_path / "orc.toml").exists()


def test_the_settings_of_a_clone_are_nobody_elses():
    assert "/orc.toml" in (ROOT / ".gitignore").read_text().splitlines()


def _copy(folder):
    """The script in a clone of its own, with a cluster that answers."""
    _program(folder, "kubectl", f'echo "$@" >> {folder / "asked"}')
    (folder / "manifests").mkdir()
    return shutil.copy(SCRIPT, folder / "manifests")


def _program(folder, name, text):
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def _up(folder, *parts, script=SCRIPT, **more):
    """The script, with nothing on the path but what a folder holds and a shell needs."""
    for name in ("bash", "cat", "dirname", "env"):
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which(name))
    return subprocess.run(
        [str(script), *parts],
        env={"PATH": str(folder), "HOME": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
