"""The API server takes every object of an endpoint, with strict fields; nothing is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving.kserve import runtime
from tests.cluster.conftest import Api
from tests.cluster.kserve import SERVING
from tests.manifests import cases

PATHS = {
    "InferenceService": "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "InferenceGraph": "/apis/serving.kserve.io/v1alpha1/namespaces/{}/inferencegraphs",
    "ServiceMonitor": "/apis/monitoring.coreos.com/v1/namespaces/{}/servicemonitors",
}


@pytest.mark.parametrize("folder", cases.ALL, ids=lambda folder: folder.name)
def test_every_object_of_an_endpoint_is_taken(
    api: Api, definitions: None, cluster_namespace: str, folder: Path
) -> None:
    case = cases.read(folder)
    case = dataclasses.replace(case, place=dataclasses.replace(case.place, namespace=cluster_namespace))
    for each in case.render():
        path = f"{PATHS[each['kind']].format(cluster_namespace)}/{each['metadata']['name']}"
        taken = api.apply(path, each, dry_run=True)
        assert taken["spec"] == _with_defaults(each["spec"], taken["spec"])


def _with_defaults(ours: Any, theirs: Any) -> Any:
    """Our value with what the server added to it, so that what it dropped is seen."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {**theirs, **{key: _with_defaults(value, theirs.get(key)) for key, value in ours.items()}}
    return ours


def test_the_runtime_is_taken(api: Api, definitions: None) -> None:
    for knative in (False, True):
        made = runtime.cluster_serving_runtime(cases.IMAGE, name="orc-test-dry-run", knative=knative)
        path = f"{SERVING}/v1alpha1/clusterservingruntimes/{made['metadata']['name']}"
        assert api.apply(path, made, dry_run=True)["spec"] == made["spec"]


def test_a_pod_of_the_runtime_fits_pod_security_restricted(api: Api, new_namespace: Any) -> None:
    namespace = new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    spec = runtime.cluster_serving_runtime(cases.IMAGE)["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server"}}
    body = {**pod, "spec": {"containers": spec["containers"], "volumes": spec["volumes"]}}
    assert api.apply(f"/api/v1/namespaces/{namespace}/pods/server", body, dry_run=True)["kind"] == "Pod"
    careless = {**spec["containers"][0], "securityContext": {}}
    with pytest.raises(Exception, match="violates PodSecurity"):
        api.apply(
            f"/api/v1/namespaces/{namespace}/pods/server",
            {**pod, "spec": {"containers": [careless], "volumes": spec["volumes"]}},
            dry_run=True,
        )
