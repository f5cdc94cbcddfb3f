"""The chart on a real API server: installed, upgraded and uninstalled by helm, without a loss of data."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.conftest import CASES, CHART, Helm, program
from tests.helm.pods import pods

# Objects of the whole cluster are left to tests of clusters that are ours.
SMALL = ("--set", "servingRuntime.kind=ServingRuntime", "--set", "mlflow.volume.storageClass=none")
_GROUPS = {
    "v1": ("configmaps", "limitranges", "persistentvolumeclaims", "pods", "resourcequotas", "secrets", "services"),
    "apps/v1": ("deployments",),
    "batch/v1": ("cronjobs",),
    "networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "policy/v1": ("poddisruptionbudgets",),
    "rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
    "serving.kserve.io/v1alpha1": ("clusterservingruntimes", "servingruntimes"),
    "monitoring.coreos.com/v1": ("podmonitors", "servicemonitors", "prometheusrules"),
    "scheduling.k8s.io/v1": ("priorityclasses",),
    "admissionregistration.k8s.io/v1": ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
}
_WIDE = ("clusterservingruntimes", "priorityclasses", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")

Install = Callable[..., str]


def _plural(kind: str) -> str:
    return kind.lower()[:-1] + "ies" if kind.endswith("y") else kind.lower() + ("es" if kind.endswith("s") else "s")


def _folder(each: Mapping[str, Any], namespace: str) -> str:
    """Where objects of this kind are."""
    group = each["apiVersion"]
    plural = _plural(each["kind"])
    prefix = "/api/v1" if group == "v1" else f"/apis/{group}"
    return f"{prefix}/{plural}" if plural in _WIDE else f"{prefix}/namespaces/{namespace}/{plural}"


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    found = program("helm")
    if found is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    return Helm(found, tmp_path / "helm")


@pytest.fixture
def install(helm: Helm, definitions: None) -> Install:
    """Installs the chart, or upgrades it, in a namespace."""

    def run(namespace: str, *options: str | Path, release: str = "orchestrator") -> str:
        done = helm("upgrade", "--install", release, CHART, "--namespace", namespace, *SMALL, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _rendered(helm: Helm, namespace: str, *options: str | Path) -> list[dict[str, Any]]:
    done = helm("template", "orchestrator", CHART, "--namespace", namespace, "--kube-version", "1.36.3", *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_everything_is_accepted(case: Path, api: Any, helm: Helm, cluster_namespace: str, definitions: None) -> None:
    """Server-side apply with strict validation knows every field, of every object, with every values file."""
    found = _rendered(helm, cluster_namespace, "--values", case)
    for each in sorted(found, key=lambda each: each["kind"] != "ServiceAccount"):
        path = f"{_folder(each, cluster_namespace)}/{each['metadata']['name']}"
        # A pod is refused where its account is missing, so that accounts are there for real.
        answer = api.apply(path, each, dry_run=each["kind"] != "ServiceAccount")
        assert answer["metadata"]["name"] == each["metadata"]["name"]


def test_a_release_comes_changes_and_goes_and_its_data_stays(
    api: Any, helm: Helm, install: Install, cluster_namespace: str
) -> None:
    core = f"/api/v1/namespaces/{cluster_namespace}"
    claim, token = f"{core}/persistentvolumeclaims/orchestrator-mlflow", f"{core}/secrets/orchestrator-deployer"
    notes = install(cluster_namespace)
    assert f"kubectl --namespace {cluster_namespace} port-forward service/orchestrator-mlflow" in notes
    first = api.get(claim)["metadata"]["uid"]
    filled = api.until(token, lambda seen: "token" in seen.get("data", {}))

    install(cluster_namespace, "--set", "labels.team=research", "--set", "mlflow.resources.limits.memory=3Gi")
    seen = api.get(f"/apis/apps/v1/namespaces/{cluster_namespace}/deployments/orchestrator-mlflow")
    assert seen["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
    assert api.get(claim)["metadata"]["uid"] == first
    # The cluster's own token is not emptied by an upgrade that knows nothing of it.
    assert api.get(token)["data"] == filled["data"]

    done = helm("uninstall", "orchestrator", "--namespace", cluster_namespace)
    assert done.returncode == 0, done.stderr
    left = set(_left(api, cluster_namespace))
    assert left == {("persistentvolumeclaims", "orchestrator-mlflow")}
    assert api.found(token) is None or api.get(token)["metadata"].get("deletionTimestamp")

    install(cluster_namespace)
    assert api.get(claim)["metadata"]["uid"] == first


def _left(api: Any, namespace: str) -> Any:
    """What is there that the chart made and that is not on its way out."""
    label = "?labelSelector=app.kubernetes.io/part-of%3Dorchestrator"
    for group, plurals in {**_GROUPS, "v1": (*_GROUPS["v1"], "serviceaccounts")}.items():
        prefix = "/api/v1" if group == "v1" else f"/apis/{group}"
        for plural in plurals:
            if plural in _WIDE:
                continue
            for each in api.get(f"{prefix}/namespaces/{namespace}/{plural}{label}")["items"]:
                if not each["metadata"].get("deletionTimestamp") and not each["metadata"].get("ownerReferences"):
                    yield plural, each["metadata"]["name"]


def test_a_second_release_in_a_namespace_is_refused_and_changes_nothing(
    api: Any, helm: Helm, install: Install, cluster_namespace: str
) -> None:
    install(cluster_namespace)
    before = api.get(f"/api/v1/namespaces/{cluster_namespace}/configmaps/orchestrator")
    done = helm("install", "another", CHART, "--namespace", cluster_namespace, *SMALL)
    assert done.returncode != 0
    assert 'must equal "another": current value is "orchestrator"' in done.stderr
    assert api.get(f"/api/v1/namespaces/{cluster_namespace}/configmaps/orchestrator") == before


def test_an_upgrade_with_values_that_are_wrong_changes_nothing(
    api: Any, helm: Helm, install: Install, cluster_namespace: str
) -> None:
    install(cluster_namespace)
    path = f"/apis/apps/v1/namespaces/{cluster_namespace}/deployments/orchestrator-mlflow"
    before = api.get(path)["metadata"]["generation"]
    for wrong in ("mlflow.replicas=3", "mlflow.replica=1", "quota.hard.pods=lots"):
        done = helm("upgrade", "orchestrator", CHART, "--namespace", cluster_namespace, *SMALL, "--set", wrong)
        assert done.returncode != 0
        assert wrong.split("=", maxsplit=1)[0].rsplit(".", 1)[-1] in done.stderr
    assert api.get(path)["metadata"]["generation"] == before


def test_pods_pass_pod_security_restricted(
    api: Any, helm: Helm, install: Install, new_namespace: Callable[..., str]
) -> None:
    """Each pod that the chart makes, or that KServe makes of its runtime, is let in; one that wants more is not."""
    namespace = new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    full = ("--values", CHART / "ci" / "full-values.yaml", "--set", "mlflow.priorityClassName=")
    install(namespace)
    found = list(pods(_rendered(helm, namespace, *full)))
    assert {pod.of["kind"] for pod in found} == {"Pod", "Deployment", "CronJob", "ClusterServingRuntime"}
    for number, pod in enumerate(found):
        keys = ("containers", "volumes") if pod.of_kserve else tuple(pod.spec)
        spec = {key: pod.spec[key] for key in keys}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
        assert api.create(path, {**body, "spec": {"restartPolicy": "Never", **spec}})["metadata"]["name"]
        wanting = [{**spec["containers"][0], "securityContext": {"allowPrivilegeEscalation": True}}]
        with pytest.raises(Exception, match='violates PodSecurity "restricted:latest"'):
            api.create(path, {**body, "spec": {"restartPolicy": "Never", **spec, "containers": wanting}})


def _pod(**resources: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "localhost/none:1", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "asks-"},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


def test_limits_of_an_environment_hold(api: Any, install: Install, cluster_namespace: str) -> None:
    install(cluster_namespace, "--values", CHART / "ci" / "dev-values.yaml")
    path = f"/api/v1/namespaces/{cluster_namespace}/pods?dryRun=All"
    quota = f"/api/v1/namespaces/{cluster_namespace}/resourcequotas/orchestrator"
    api.until(quota, lambda seen: bool(seen.get("status", {}).get("hard")))
    said = api.create(path, _pod())["spec"]["containers"][0]["resources"]
    assert said == {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    with pytest.raises(Exception, match="maximum memory usage per Container is 64Gi"):
        api.create(path, _pod(limits={"memory": "65Gi", "cpu": "1"}, requests={"memory": "1Gi", "cpu": "1"}))
    with pytest.raises(Exception, match=r"exceeded quota: orchestrator, requested: requests.nvidia.com/gpu=2"):
        api.create(path, _pod(limits={"nvidia.com/gpu": "2"}))
    with pytest.raises(Exception, match=r"exceeded quota: orchestrator, requested: .*requests.memory=40Gi"):
        api.create(path, _pod(limits={"memory": "40Gi", "cpu": "1"}, requests={"memory": "40Gi", "cpu": "1"}))


def test_secrets_of_helm_hold_no_password(api: Any, install: Install, cluster_namespace: str) -> None:
    """What helm keeps of a release names Secrets and has none: it is readable by whoever may read it."""
    install(cluster_namespace, "--values", CHART / "ci" / "postgres-s3-values.yaml")
    kept = [
        each
        for each in api.get(f"/api/v1/namespaces/{cluster_namespace}/secrets")["items"]
        if each["type"] == "helm.sh/release.v1"
    ]
    assert kept
    token = api.until(
        f"/api/v1/namespaces/{cluster_namespace}/secrets/orchestrator-deployer", lambda seen: "data" in seen
    )["data"]["token"]
    assert all(base64.b64decode(token).decode() not in str(each) for each in kept)
