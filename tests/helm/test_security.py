"""What linters of security ask of a chart, of every object with every values file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.conftest import CASES, CHART, Manifest, Renders
from tests.helm.pods import Pod, pods

# A token of the account is in the pod only where what the pod is for needs it.
_WITH_TOKEN = ("orchestrator-test-runner", "orchestrator-test-deployer", "orchestrator-test-monitor")
_DANGEROUS = {"create", "update", "patch", "delete", "deletecollection", "escalate", "bind", "impersonate", "*"}


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def rendered(request: pytest.FixtureRequest, render: Renders) -> list[Manifest]:
    return render(request.param)


def _containers(found: list[Manifest]) -> Iterator[tuple[Pod, Manifest]]:
    for pod in pods(found):
        for container in pod.containers:
            yield pod, container


def test_containers_are_locked_down(rendered: list[Manifest]) -> None:
    for pod, container in _containers(rendered):
        security = container["securityContext"]
        where = f"{pod.name}: {container['name']}"
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["privileged"] is False, where
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["runAsNonRoot"] is True, where
        assert security["capabilities"] == {"drop": ["ALL"]}, where
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where


def test_pods_pass_restricted_and_share_nothing_of_their_node(rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostAliases", "shareProcessNamespace"} & set(pod.spec)
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert {next(key for key in each if key != "name") for each in pod.spec.get("volumes", ())} <= allowed
        if not pod.of_kserve:
            security = pod.spec["securityContext"]
            assert security["runAsNonRoot"] is True
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 65532


def test_containers_say_what_they_need_and_may_have(rendered: list[Manifest]) -> None:
    for pod, container in _containers(rendered):
        if pod.of_kserve:
            continue
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}, f"{pod.name}: {container['name']}"


def test_images_are_of_our_registry_and_do_not_change_under_their_name(rendered: list[Manifest]) -> None:
    for pod, container in _containers(rendered):
        image = container["image"]
        assert re.fullmatch(r"(localhost:5001|registry\.example\.com/ml)/\S+(:[^:/@]+|@sha256:[0-9a-f]{64})", image)
        assert not image.endswith(":latest"), pod.name


def test_tokens_are_only_where_they_are_needed(rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        if pod.of_kserve:
            continue
        name = pod.of["metadata"]["name"]
        asked = name in _WITH_TOKEN or name == "orchestrator-monitor-retrain"
        assert pod.spec["automountServiceAccountToken"] is asked, name
        assert pod.spec["serviceAccountName"].startswith("orchestrator-"), name
        assert pod.spec["enableServiceLinks"] is False, name
    for each in rendered:
        if each["kind"] == "ServiceAccount":
            # Argo's executor and KFP's launcher need one in every pod of a run, and neither asks for it.
            runner = each["metadata"]["name"] == "orchestrator-runner"
            assert each["automountServiceAccountToken"] is runner


def test_roles_have_no_wildcards_and_secrets_only_by_name(rendered: list[Manifest]) -> None:
    assert not [each for each in rendered if each["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    for role in (each for each in rendered if each["kind"] == "Role"):
        for rule in role["rules"]:
            assert not {"*"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, role["metadata"]["name"]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"]
                assert rule["verbs"] == ["get"]
            core = "" in rule["apiGroups"]
            writes = _DANGEROUS & set(rule["verbs"])
            assert not (core and writes) or rule["resources"] == ["persistentvolumeclaims"], rule


def test_bindings_bind_one_account_to_its_own_role(rendered: list[Manifest]) -> None:
    for each in (each for each in rendered if each["kind"] == "RoleBinding"):
        (subject,) = each["subjects"]
        assert subject["name"] == each["roleRef"]["name"] == each["metadata"]["name"]
        assert subject["namespace"] == each["metadata"]["namespace"]


def test_no_secret_is_written_only_named(rendered: list[Manifest]) -> None:
    for each in (each for each in rendered if each["kind"] == "Secret"):
        assert each["type"] == "kubernetes.io/service-account-token"
        assert "data" not in each
        assert "stringData" not in each
    for pod, container in _containers(rendered):
        for variable in container.get("env", ()):
            if re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", variable["name"]) and not variable["name"].endswith(
                "FILE"
            ):
                assert "value" not in variable, f"{pod.name}: {variable['name']}"


def test_the_address_of_a_database_is_in_no_argument(render: Renders) -> None:
    for _, container in _containers(render(CHART / "ci" / "postgres-s3-values.yaml")):
        assert "--backend-store-uri" not in str(container.get("args"))


def test_every_pod_of_ours_is_under_a_policy(rendered: list[Manifest]) -> None:
    policies = [each["spec"]["podSelector"] for each in rendered if each["kind"] == "NetworkPolicy"]
    for pod in pods(rendered):
        if pod.of_kserve:
            labels = {"app.kubernetes.io/managed-by": "orchestrator", "serving.kserve.io/inferenceservice": "x"}
        elif pod.of["kind"] == "Pod":
            labels = pod.of["metadata"]["labels"]
        elif pod.of["kind"] == "CronJob":
            labels = pod.of["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        else:
            labels = pod.of["spec"]["template"]["metadata"]["labels"]
        assert any(_selects(each, labels) for each in policies), pod.name


def _selects(selector: Manifest, labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(wanted: Manifest, labels: dict[str, str]) -> bool:
    match wanted["operator"]:
        case "Exists":
            return wanted["key"] in labels
        case "DoesNotExist":
            return wanted["key"] not in labels
        case "In":
            return labels.get(wanted["key"]) in wanted["values"]
    raise AssertionError(wanted)


def test_policies_deny_both_directions_and_allow_no_empty_rule(rendered: list[Manifest]) -> None:
    for each in (each for each in rendered if each["kind"] == "NetworkPolicy"):
        name = each["metadata"]["name"]
        assert each["spec"]["policyTypes"] == ["Ingress", "Egress"], name
        for rule in (*each["spec"].get("ingress", ()), *each["spec"].get("egress", ())):
            assert rule.get("ports"), f"{name} allows every port"
            assert rule.get("to", True) != [], name
            assert rule.get("from", True) != [], name


def test_tasks_and_monitors_are_called_by_nobody(render: Renders) -> None:
    for name in ("orchestrator-tasks", "orchestrator-monitors"):
        (policy,) = [each for each in render() if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == name]
        assert "ingress" not in policy["spec"]


def test_values_hold_no_password() -> None:
    """No key of the values takes a secret: those that speak of one take its name."""

    def walk(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield from walk(each, f"{path}.{key}")
        elif re.search("password|token|secret", path.rsplit(".", 1)[-1], re.IGNORECASE):
            yield path

    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    names = {"secret", "secrets", "tlsSecret", "pullSecrets", "token", "secretKey"}
    assert {path.rsplit(".", 1)[-1] for path in walk(values, "")} <= names


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_values_files_hold_no_password(path: Path) -> None:
    assert not re.search(r"://[^/\s]*:[^/\s]*@", path.read_text(encoding="utf-8"))
