"""What each account of the chart may do on a real API server: what its role needs, and nothing else at all."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.helm.conftest import CHART, Helm, program

_OF_ENDPOINTS = ("get", "list", "watch", "create", "patch", "delete")
Rules = frozenset[tuple[str, str, str, str]]
# Everything each account may do in its namespace: verb, group, resource, name.
RUNNER: Rules = frozenset(
    {
        ("create", "argoproj.io", "workflowtaskresults", ""),
        ("patch", "argoproj.io", "workflowtaskresults", ""),
        ("get", "", "pods", ""),
        ("get", "", "configmaps", "kfp-launcher"),
        ("get", "", "secrets", "mlpipeline-minio-artifact"),
    }
)
DEPLOYER: Rules = frozenset(
    {
        *(
            (verb, "serving.kserve.io", "inferenceservices", "")
            for verb in ["get", "list", "watch", "create", "patch", "delete"]
        ),
        *((verb, "", "pods", "") for verb in ("get", "list", "watch")),
        *((verb, group, "events", "") for verb in ("get", "list", "watch") for group in ("", "events.k8s.io")),
        ("get", "", "pods/log", ""),
        *((verb, "", "persistentvolumeclaims", "") for verb in ("get", "create", "patch")),
    }
)
MONITOR: Rules = frozenset((verb, "serving.kserve.io", "inferenceservices", "") for verb in ("get", "list", "watch"))
EXPECTED: Mapping[str, Rules] = {
    "runner": RUNNER,
    "deployer": DEPLOYER,
    "monitor": MONITOR,
    "mlflow": frozenset(),
    "server": frozenset(),
}


@pytest.fixture
def namespace(cluster_namespace: str, definitions: None, tmp_path: Path) -> str:
    """A namespace with the chart in it."""
    return _install(cluster_namespace, tmp_path)


def _install(namespace: str, tmp_path: Path, *options: str) -> str:
    found = program("helm")
    if found is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    helm = Helm(found, tmp_path / "helm")
    chosen = ("--set", "servingRuntime.kind=ServingRuntime", *options)
    done = helm("upgrade", "--install", "orchestrator", CHART, "--namespace", namespace, *chosen)
    assert done.returncode == 0, done.stderr
    return namespace


def _may(api: Any, namespace: str, role: str) -> Rules:
    """Every rule that holds for the account here, but for what holds for everybody."""

    def rules(account: str) -> Rules:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
        user = api.as_user(f"system:serviceaccount:{namespace}:{account}")
        answer = user.create(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {**review, "spec": {"namespace": namespace}}
        )
        assert not answer["status"]["incomplete"]
        return frozenset(
            (verb, group, resource, name)
            for rule in answer["status"]["resourceRules"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames", [""])
        )

    return rules(f"orchestrator-{role}") - rules("default")


def test_accounts_may_do_what_they_need_and_nothing_else(api: Any, namespace: str) -> None:
    for role, expected in EXPECTED.items():
        assert _may(api, namespace, role) == expected, role


def test_more_is_granted_only_by_value(api: Any, namespace: str, tmp_path: Path) -> None:
    _install(namespace, tmp_path, "--set", "accounts.runner.volumeClaims=true,kfp.multiUser=true")
    claims = {(verb, "", "persistentvolumeclaims", "") for verb in ("get", "create", "delete")}
    assert _may(api, namespace, "runner") == RUNNER | claims
    kinds = ("pipelines", "pipelineversions", "experiments", "runs")
    starts = {(verb, "pipelines.kubeflow.org", kind, "") for verb in ("get", "list", "create") for kind in kinds}
    assert _may(api, namespace, "monitor") == MONITOR | starts


def test_accounts_are_let_in_and_kept_out_for_real(
    api: Any, namespace: str, new_namespace: Any, tmp_path: Path
) -> None:
    core, kserve = "/api/v1/namespaces", "/apis/serving.kserve.io/v1beta1/namespaces"
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "penguins"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "orchestrator"}}}},
    }
    path = f"{kserve}/{namespace}/inferenceservices/penguins"
    deployer, runner, monitor, server = (
        api.as_user(f"system:serviceaccount:{namespace}:orchestrator-{role}")
        for role in ("deployer", "runner", "monitor", "server")
    )
    deployer.apply(path, service)
    assert monitor.get(path)["metadata"]["name"] == "penguins"
    deployer.get(f"{core}/{namespace}/pods")
    elsewhere = new_namespace()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlpipeline-minio-artifact"}}
    api.create(f"{core}/{namespace}/secrets", {**secret, "stringData": {"accesskey": "a", "secretkey": "b"}})
    assert runner.get(f"{core}/{namespace}/secrets/mlpipeline-minio-artifact")["data"]

    def refused(user: Any, method: str, path: str, body: Any = None) -> None:
        with pytest.raises(Exception, match="403"):
            user.call(method, path, body)

    for user in (runner, monitor, server):
        refused(user, "DELETE", path)
    refused(deployer, "GET", f"{core}/{namespace}/secrets/mlpipeline-minio-artifact")
    refused(deployer, "GET", f"{kserve}/{elsewhere}/inferenceservices")
    refused(deployer, "POST", f"{core}/{namespace}/pods", {})
    refused(deployer, "DELETE", f"{kserve}/{namespace}/inferenceservices")
    refused(runner, "GET", f"{core}/{namespace}/secrets")
    refused(runner, "GET", f"{core}/{namespace}/secrets/orchestrator-deployer")
    refused(runner, "POST", f"{core}/{namespace}/pods", {})
    refused(server, "GET", f"{core}/{namespace}/configmaps/orchestrator")
    refused(monitor, "GET", f"{core}/{namespace}/pods")
    deployer.delete(path)
    assert api.found(path) is None


def test_the_mounted_token_is_the_deployers(api: Any, namespace: str) -> None:
    """The Secret the deploy task mounts opens what that account may, and is taken back with it."""
    path = f"/api/v1/namespaces/{namespace}/secrets/orchestrator-deployer"
    filled = api.until(path, lambda seen: {"token", "ca.crt", "namespace"} <= set(seen.get("data", {})))
    assert _reviewed(api, filled["data"]["token"]) == f"system:serviceaccount:{namespace}:orchestrator-deployer"
    api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/orchestrator-deployer")
    api.until(f"/api/v1/namespaces/{namespace}", lambda _: api.found(path) is None)


def _reviewed(api: Any, encoded: str) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    token = base64.b64decode(encoded).decode()
    answer = api.create("/apis/authentication.k8s.io/v1/tokenreviews", {**body, "spec": {"token": token}})
    return str(answer["status"]["user"]["username"])


def test_the_pods_of_helm_test_ask_the_cluster(api: Any, namespace: str, tmp_path: Path) -> None:
    """The program of each pod, with the token the pod would have, and told to expect too much."""
    found = program("helm")
    assert found
    done = Helm(found, tmp_path / "home")("template", "orchestrator", CHART, "--namespace", namespace)
    for role in ("runner", "deployer", "monitor"):
        (pod,) = [
            each
            for each in yaml.safe_load_all(done.stdout)
            if each and each["kind"] == "Pod" and each["metadata"]["name"] == f"orchestrator-test-{role}"
        ]
        (container,) = pod["spec"]["containers"]
        mounted = tmp_path / role
        mounted.mkdir()
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/orchestrator-{role}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        (mounted / "token").write_text(api.create(account, asked)["status"]["token"])
        (mounted / "namespace").write_text(namespace)
        (mounted / "ca.crt").write_text(Path(api.client.configuration.ssl_ca_cert).read_text())
        server = urlsplit(api.client.configuration.host)
        text = container["args"][0].replace("/var/run/secrets/kubernetes.io/serviceaccount", str(mounted))
        variables = {each["name"]: each.get("value", "") for each in container["env"]}

        def asks(expected: str, text: str = text, server: Any = server) -> subprocess.CompletedProcess[str]:
            told = {"KUBERNETES_SERVICE_HOST": server.hostname, "KUBERNETES_SERVICE_PORT": str(server.port)}
            environment = {**os.environ, **told, "EXPECTED": expected}
            command = [sys.executable, "-c", text]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

        right = asks(variables["EXPECTED"])
        assert right.returncode == 0, right.stdout + right.stderr
        wrong = asks("yes,delete,,nodes")
        assert wrong.returncode == 1
        assert "delete nodes: expected yes" in wrong.stderr
