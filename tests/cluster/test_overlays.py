"""Three environments on a real cluster: a plan shows what an overlay changes and no more, and each keeps to itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import RefusedError

ROOT = Path(__file__).parents[2]
ROLES = ("runner", "deployer", "monitor", "mlflow", "server")


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """A copy of the manifests that a test may edit."""
    folder = tmp_path_factory.mktemp("overlays") / "manifests"
    shutil.copytree(ROOT / "manifests", folder)
    return folder


@pytest.fixture(scope="module")
def environments(api, ours, manifests, named_environments):
    """dev and prod, applied."""
    for name in ("dev", "prod"):
        ended = _orc("apply", manifests / "overlays" / name, "--no-wait")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    yield
    for name in ("dev", "prod"):
        api.delete(f"/api/v1/namespaces/orchestrator-{name}")


def test_an_environment_that_is_as_its_overlay_says_has_nothing_to_plan(environments, manifests):
    ended = _orc("plan", manifests / "overlays/dev", "--exit-code")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "nothing to do: 25 objects as in the files")


def test_a_plan_shows_what_the_overlay_changes_and_nothing_else(environments, manifests):
    overlay = manifests / "overlays/dev/kustomization.yaml"
    text = overlay.read_text()
    try:
        overlay.write_text(text.replace('requests.cpu: "8"', 'requests.cpu: "12"'))
        ended = _orc("plan", overlay.parent)
    finally:
        overlay.write_text(text)
    changed = [line for line in ended.stdout.splitlines() if line.strip()]
    assert changed[0] == "~ change ResourceQuota orchestrator in namespace orchestrator-dev"
    assert "requests.cpu" in changed[1]
    assert "8" in changed[1]
    assert "12" in changed[1]
    assert len(changed) == 3, ended.stdout


@pytest.mark.parametrize("role", ROLES)
def test_no_account_of_dev_may_touch_prod(environments, api, role):
    """Not its models, not its endpoints, not its secrets (AS-29)."""
    user = api.as_user(f"system:serviceaccount:orchestrator-dev:orchestrator-{role}")
    service = "/apis/serving.kserve.io/v1beta1/namespaces/orchestrator-prod/inferenceservices"
    found = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "x"}}
    for ask in (
        lambda: user.get("/api/v1/namespaces/orchestrator-prod/secrets/orchestrator-deployer"),
        lambda: user.get("/api/v1/namespaces/orchestrator-prod/pods"),
        lambda: user.create(service, found),
        lambda: user.delete(f"{service}/penguins"),
        lambda: user.merge("/api/v1/namespaces/orchestrator-prod/configmaps/orchestrator", {"data": {"x": "y"}}),
    ):
        with pytest.raises(RefusedError) as refused:
            ask()
        assert refused.value.status == 403


def test_a_pod_that_asks_for_more_than_restricted_allows_is_refused(environments, api):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        api.create("/api/v1/namespaces/orchestrator-prod/pods", pod)


def test_a_machine_labelled_for_a_gpu_without_one_gets_a_pretended_one(api, ours):
    name = "pretends-to-have-a-gpu"
    labels = {"nvidia.com/gpu.present": "true"}
    taints = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
    }
    api.create("/api/v1/nodes", node)
    try:
        context = subprocess.run(["kubectl", "config", "current-context"], capture_output=True, text=True, check=True)
        script = [str(ROOT / "manifests/cluster-up.sh"), "gpu"]
        environment = {**os.environ, "CONTEXT": context.stdout.strip()}
        for _ in range(2):
            ended = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stderr
        assert api.get(f"/api/v1/nodes/{name}")["status"]["capacity"]["nvidia.com/gpu"] == "1"
    finally:
        api.delete(f"/api/v1/nodes/{name}")


def _orc(*words):
    command = [sys.executable, "-m", "orchestrator", *map(str, words)]
    # Not in the clone, whose settings may name a cluster of whoever runs the tests.
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=180, check=False)
