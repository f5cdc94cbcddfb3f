"""The node of the tests' cluster is a real one: programs run, are heard, and are refused what is not allowed."""

from __future__ import annotations

from typing import Any

import pytest
from bed import images, pods

from orchestrator.ir.platform import KubernetesExecutor
from orchestrator.runners.local.containers.limits import Limits

NOTHING_ASKED = KubernetesExecutor.model_construct()


def _pod(*words: str, limits: Limits | None = None) -> dict[str, Any]:
    return pods.pod("one", pods.Program(images.PAUSE, ["/pause", *words]), limits or Limits(), NOTHING_ASKED)


def test_a_program_runs_and_is_heard(api: Any, node_namespace: str) -> None:
    path = f"/api/v1/namespaces/{node_namespace}/pods"
    api.create(path, _pod("hello", "world", limits=Limits(cpu="100m", memory="64Mi")))
    ended = api.until(f"{path}/one", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), seconds=60)
    assert ended["status"]["phase"] == "Succeeded", ended["status"]
    assert api.text(f"{path}/one/log") == "hello world\n"


def test_an_image_that_does_not_exist_is_told(api: Any, node_namespace: str) -> None:
    path = f"/api/v1/namespaces/{node_namespace}/pods"
    pod = _pod()
    pod["spec"]["containers"][0] |= {"image": "localhost/orchestrator-test/none:1", "imagePullPolicy": "Never"}
    api.create(path, pod)
    api.until(f"{path}/one", lambda pod: _waits_for(pod) == "ErrImageNeverPull", seconds=60)


def _waits_for(pod: dict[str, Any]) -> str:
    status = (pod["status"].get("containerStatuses") or [{}])[0]
    return str(status.get("state", {}).get("waiting", {}).get("reason", ""))


def test_root_is_refused(api: Any, node_namespace: str) -> None:
    pod = _pod()
    pod["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0}
    with pytest.raises(Exception, match=r'403: .*violates PodSecurity "restricted'):
        api.create(f"/api/v1/namespaces/{node_namespace}/pods", pod)


def test_a_folder_of_the_machine_is_refused(api: Any, node_namespace: str) -> None:
    pod = _pod()
    pod["spec"]["volumes"] = [{"name": "machine", "hostPath": {"path": "/"}}]
    with pytest.raises(Exception, match=r"403: .*hostPath"):
        api.create(f"/api/v1/namespaces/{node_namespace}/pods", pod)


def test_a_quota_refuses_what_is_beyond_it(api: Any, node_namespace: str) -> None:
    path = f"/api/v1/namespaces/{node_namespace}"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}}
    api.create(f"{path}/resourcequotas", {**quota, "spec": {"hard": {"limits.cpu": "1", "limits.memory": "1Gi"}}})
    api.until(f"{path}/resourcequotas/one", lambda each: "hard" in each.get("status", {}))
    with pytest.raises(Exception, match=r"403: .*exceeded quota: one"):
        api.create(f"{path}/pods", _pod(limits=Limits(cpu="2", memory="64Mi")))


def test_a_node_tells_nobody_without_rights(api: Any, node_namespace: str) -> None:
    somebody = api.as_user(f"system:serviceaccount:{node_namespace}:default")
    with pytest.raises(Exception, match="403"):
        somebody.get("/api/v1/nodes/worker/proxy/pods")
