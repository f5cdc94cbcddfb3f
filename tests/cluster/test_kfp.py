"""What a run on Kubeflow Pipelines has to do with its cluster: pods that do not get on, and pipelines as resources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestrator import settings
from orchestrator.errors import BackendError
from orchestrator.runners import kfp
from orchestrator.runs import packed
from orchestrator.runs.pods import Pods
from orchestrator.settings import Settings
from tests.cluster.conftest import Api

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = kfp.Connection("http://127.0.0.1:9", timeout=1)


@pytest.fixture
def here(cluster_namespace: str, tmp_path: Path) -> Settings:
    found = settings.read(os.environ, tmp_path)
    return replace(found, cluster_namespace=cluster_namespace, kfp_namespace=cluster_namespace)


@pytest.fixture
def pods(here: Settings) -> Iterator[Pods]:
    made = Pods(here, NOWHERE, "run-1")
    yield made
    if made._cluster:
        made._cluster.api.pool.clear()


def _pod(name: str, run: str, **spec: object) -> dict[str, object]:
    container = {"name": "main", "image": "registry.invalid/none:1"}
    metadata = {"name": name, "labels": {"pipeline/runid": run}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def test_pods_that_cannot_begin_are_told_of_by_their_run(api: Api, here: Settings, pods: Pods) -> None:
    place = f"/api/v1/namespaces/{here.cluster_namespace}/pods"
    api.create(place, _pod("waits", "run-1", nodeSelector={"pool": "none-has-this"}))
    api.create(place, _pod("of-another", "run-2", nodeSelector={"pool": "none-has-this"}))
    api.until(f"{place}/waits", lambda pod: bool(pod["status"].get("conditions")))
    troubles = pods.told().troubles("run-1")
    assert set(troubles) == {"waits"}
    assert troubles["waits"]


def test_a_log_that_neither_the_cluster_nor_the_server_has(pods: Pods) -> None:
    with pytest.raises(BackendError) as caught:
        list(pods.log("gone"))
    assert "no log of gone" in str(caught.value)


def test_a_pipeline_as_resources_is_taken_word_for_word(
    api: Api, here: Settings, definitions: None, tmp_path: Path
) -> None:
    placed = replace(here, kfp_files=str(tmp_path / "files"))
    made = packed.pack(ROOT / "pipelines" / "penguins" / "pipeline.yaml", placed, unpinned=True)
    for resource, plural in zip(yaml.safe_load_all(made.text), ("pipelines", "pipelineversions"), strict=True):
        name, namespace = resource["metadata"]["name"], resource["metadata"]["namespace"]
        assert namespace == here.cluster_namespace
        place = f"/apis/pipelines.kubeflow.org/v2beta1/namespaces/{namespace}/{plural}/{name}"
        kept = api.apply(place, resource)
        assert kept["spec"] == resource["spec"]
