"""The admission policy of the chart, in a cluster that is ours: labels and priorities of pods of pipelines."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helm.conftest import CHART, Helm, program


@pytest.fixture
def high(api: Any, ours: None) -> Iterator[str]:
    """A priority class."""
    name = f"high-{uuid.uuid4().hex[:6]}"
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 77}
    api.create(path, {**made, "preemptionPolicy": "Never"})
    yield name
    api.delete(f"{path}/{name}")


@pytest.fixture
def namespace(api: Any, ours: None, definitions: None, new_namespace: Any, tmp_path: Path) -> Iterator[str]:
    """A labelled namespace with the chart in it, whose policy is at work."""
    found = program("helm")
    if found is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    name = new_namespace(labels={"orchestrator/runs": "enabled"})
    helm = Helm(found, tmp_path / "helm")
    options = ("--set", "servingRuntime.create=false,admission.enabled=true,tests.enabled=false")
    done = helm("install", "orchestrator", CHART, "--namespace", name, *options)
    assert done.returncode == 0, done.stderr
    try:
        yield name
    finally:
        helm("uninstall", "orchestrator", "--namespace", name)


def _made(api: Any, namespace: str, labels: Mapping[str, str], **spec: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "task-", "labels": dict(labels)},
        "spec": {"containers": [{"name": "main", "image": "localhost/none:1"}], **spec},
    }
    made: dict[str, Any] = api.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    return made


def test_pods_of_runs_get_their_label_and_their_priority(
    api: Any, namespace: str, high: str, new_namespace: Any
) -> None:
    run = {"pipeline/runid": "0b4b7a2c"}
    end = time.monotonic() + 30
    # The API server takes up a new policy a moment later.
    while _made(api, namespace, run)["metadata"]["labels"].get("run") is None:
        assert time.monotonic() < end
        time.sleep(0.2)
    plain = _made(api, namespace, run)
    assert plain["metadata"]["labels"] == {**run, "run": "0b4b7a2c"}
    assert plain["spec"]["priority"] == 0

    urgent = _made(api, namespace, {**run, "orchestrator/priority": high})
    assert urgent["spec"]["priorityClassName"] == high
    assert urgent["spec"]["priority"] == 77
    assert urgent["spec"]["preemptionPolicy"] == "Never"
    assert urgent["metadata"]["labels"]["run"] == "0b4b7a2c"

    said = _made(api, namespace, {**run, "run": "mine", "orchestrator/priority": "none"}, priorityClassName=high)
    assert said["metadata"]["labels"]["run"] == "mine"
    assert said["spec"]["priorityClassName"] == high
    with pytest.raises(Exception, match="no PriorityClass with name none was found"):
        _made(api, namespace, {**run, "orchestrator/priority": "none"})

    assert "run" not in _made(api, namespace, {"app": "other"})["metadata"].get("labels", {})
    assert "run" not in _made(api, new_namespace(), run)["metadata"]["labels"]
