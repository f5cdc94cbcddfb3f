"""The cluster of the tests is a real one: it refuses what a real one refuses."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_namespace_of_its_own_holds_objects(api: Any, cluster_namespace: str) -> None:
    path = f"/api/v1/namespaces/{cluster_namespace}/configmaps"
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"key": "value"}}
    api.apply(f"{path}/one", made)
    assert api.get(f"{path}/one")["data"] == {"key": "value"}


def test_an_unknown_field_is_refused(api: Any, cluster_namespace: str) -> None:
    path = f"/api/v1/namespaces/{cluster_namespace}/configmaps/one"
    with pytest.raises(Exception, match="field not declared in schema"):
        api.apply(path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "dta": {}})


def test_an_account_may_do_nothing_by_itself(api: Any, cluster_namespace: str) -> None:
    somebody = api.as_user(f"system:serviceaccount:{cluster_namespace}:default")
    with pytest.raises(Exception, match="403"):
        somebody.get(f"/api/v1/namespaces/{cluster_namespace}/pods")


def test_an_inference_service_has_a_schema(api: Any, definitions: None, cluster_namespace: str) -> None:
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{cluster_namespace}/inferenceservices/one"
    service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "one"}}
    with pytest.raises(Exception, match=r"modelFromat"):
        api.apply(path, {**service, "spec": {"predictor": {"model": {"modelFromat": {"name": "orchestrator"}}}}})
    api.apply(path, {**service, "spec": {"predictor": {"model": {"modelFormat": {"name": "orchestrator"}}}}})
    api.merge(f"{path}/status", {"status": {"url": "http://one"}})
    assert api.get(path)["status"] == {"url": "http://one"}
