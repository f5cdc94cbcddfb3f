"""What is installed on a cluster, and the cluster on one machine: pinned, on loopback, and of one piece."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import yaml

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


def _program(folder, name, text):
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def _up(folder, *parts):
    """The script, with nothing on the path but what a folder holds and a shell needs."""
    for name in ("bash", "dirname", "env"):
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which(name))
    return subprocess.run(
        [str(SCRIPT), *parts],
        env={"PATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
