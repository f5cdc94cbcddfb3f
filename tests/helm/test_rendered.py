"""The chart renders with each of its values files, to objects that Kubernetes knows to their last field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator import settings
from orchestrator.serving.kserve import objects, runtime
from tests.conftest import Golden
from tests.helm.conftest import CASES, CHART, KUBERNETES, NAMESPACE, Helm, Renders, only

HERE = Path(__file__).parent
CRDS = HERE.parent / "cluster" / "crds"
ACCOUNTS = ("runner", "deployer", "monitor", "mlflow", "server")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)


@each_case
def test_lint_finds_nothing(case: Path, helm: Helm) -> None:
    done = helm("lint", CHART, "--values", case, "--strict", "--kube-version", KUBERNETES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_every_field_is_known(render: Renders) -> None:
    known = pytest.importorskip(
        "kubernetes_validate", reason="`pip install kubernetes-validate`: schemas of Kubernetes"
    )
    ours = _custom()
    # Most objects are the same with every values file, and a schema takes its time.
    different = {json.dumps(each, sort_keys=True): each for case in CASES for each in render(case)}
    for each in different.values():
        name = (each["apiVersion"].split("/")[0], each["kind"])
        if name in ours:
            jsonschema.validate(each, ours[name])
        else:
            known.validate(dict(each), KUBERNETES, strict=True)


def _custom() -> dict[tuple[str, str], Any]:
    """The definitions of the tests' cluster as strict JSON Schemas."""
    found = {}
    for path in sorted(CRDS.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            schema = each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            found[each["spec"]["group"], each["spec"]["names"]["kind"]] = _strict(schema, top=True)
    return found


def _strict(schema: Any, *, top: bool = False) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    # Go allows a flag inside an expression, Python at its beginning only.
    inner = {
        key: value.replace("^(?i)", "(?i)^") if key == "pattern" and isinstance(value, str) else _strict(value)
        for key, value in schema.items()
    }
    named = isinstance(schema.get("properties"), Mapping) and not schema.get("x-kubernetes-preserve-unknown-fields")
    return {"additionalProperties": False, **inner} if named and not top else inner


@each_case
def test_objects_have_labels_names_that_fit_and_one_place(case: Path, render: Renders) -> None:
    seen = set()
    for each in render(case):
        metadata = each["metadata"]
        key = (each["kind"], metadata.get("namespace"), metadata["name"])
        assert key not in seen
        seen.add(key)
        assert len(metadata["name"]) <= (52 if each["kind"] == "CronJob" else 63)
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "orchestrator"
        wide = each["kind"] in ("ClusterServingRuntime", "PriorityClass") or each["kind"].startswith(
            "MutatingAdmission"
        )
        assert metadata.get("namespace") == (None if wide else NAMESPACE), key


def test_the_default_rendering(golden: Golden, render: Renders) -> None:
    """All of it; in an order that does not depend on the version of helm."""
    found = sorted(render(), key=lambda each: (each["kind"], each["metadata"]["name"]))
    golden(HERE / "default.yaml", "---\n".join(yaml.safe_dump(each, sort_keys=True, width=120) for each in found))


def test_the_runtime_is_what_endpoints_expect(render: Renders) -> None:
    found = only(render(), "ClusterServingRuntime")
    image = found["spec"]["containers"][0]["image"]
    expected = runtime.cluster_serving_runtime(image)
    assert found["spec"] == expected["spec"]
    assert found["metadata"]["name"] == expected["metadata"]["name"] == runtime.NAME
    namespaced = only(render(None, "servingRuntime.kind=ServingRuntime"), "ServingRuntime")
    assert namespaced["spec"] == found["spec"]
    knative = only(render(None, "servingRuntime.knative=true"), "ClusterServingRuntime", "orchestrator-server-knative")
    expected = runtime.cluster_serving_runtime(image, knative=True)
    assert (knative["spec"], knative["metadata"]["name"]) == (expected["spec"], expected["metadata"]["name"])


def test_names_are_those_that_the_program_uses(render: Renders, tmp_path: Path) -> None:
    found = render()
    for role in ACCOUNTS:
        only(found, "ServiceAccount", f"orchestrator-{role}")
    assert settings.read({}, tmp_path).kfp_service_account == "orchestrator-runner"
    assert objects.ACCOUNT == "orchestrator-server"
    assert only(found, "ConfigMap")["metadata"]["name"] == runtime.SHARED
    assert only(found, "ConfigMap")["data"] == {
        "MLFLOW_TRACKING_URI": f"http://orchestrator-mlflow.{NAMESPACE}.svc:5000"
    }
    secret = only(found, "Secret", "orchestrator-deployer")
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.name"] == "orchestrator-deployer"


def test_a_network_policy_of_an_endpoint_finds_mlflow(render: Renders) -> None:
    """Part of every endpoint is a policy that lets it reach the registry, by a label of the chart's pods."""
    labels = only(render(), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "mlflow"


def test_data_is_kept(render: Renders) -> None:
    claim = only(render(), "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_sqlite_has_one_writer(render: Renders) -> None:
    small = only(render(), "Deployment")["spec"]
    assert small["strategy"] == {"type": "Recreate"}
    assert small["replicas"] == 1
    large = render(CHART / "ci" / "postgres-s3-values.yaml")
    assert only(large, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert not [each for each in large if each["kind"] == "PersistentVolumeClaim"]


def test_nothing_is_rendered_of_what_is_switched_off(render: Renders) -> None:
    found = render(CHART / "ci" / "restricted-values.yaml")
    kinds = {each["kind"] for each in found}
    assert not kinds & {"Deployment", "Service", "PersistentVolumeClaim", "Pod", "Secret", "ClusterServingRuntime"}
    assert not {each["kind"] for each in render(None, "networkPolicies.enabled=false")} & {"NetworkPolicy"}


def test_environments_differ_only_in_what_they_say(render: Renders) -> None:
    """No object of the whole cluster, so that three of them fit one cluster."""
    for name in ("dev", "staging", "prod"):
        found = render(CHART / "ci" / f"{name}-values.yaml")
        assert all(each["metadata"]["labels"]["environment"] == name for each in found)
        assert all(each["metadata"].get("namespace") for each in found)
        assert only(found, "ResourceQuota")
        assert only(found, "LimitRange")


def test_a_policy_for_admission_is_of_the_version_the_cluster_has(render: Renders) -> None:
    for version, expected in (("1.36.0", "v1"), ("1.35.2", "v1beta1")):
        found = only(render(None, "admission.enabled=true", version=version), "MutatingAdmissionPolicy")
        assert found["apiVersion"] == f"admissionregistration.k8s.io/{expected}"


def test_notes_say_what_to_do_next(helm: Helm) -> None:
    done = helm("install", "orchestrator", CHART, "--dry-run=client", "--namespace", NAMESPACE)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:\n")[1]
    for expected in ("port-forward service/orchestrator-mlflow 5000:5000", "helm test orchestrator", "pod-security"):
        assert expected in notes
    assert max(map(len, notes.splitlines())) <= 120


def test_an_old_cluster_is_told(helm: Helm) -> None:
    done = helm("template", "orchestrator", CHART, "--kube-version", "1.28.0")
    assert done.returncode != 0
    assert "kubeVersion: >=1.32.0-0" in done.stderr


def test_the_chart_carries_the_packages_version() -> None:
    from importlib.metadata import version

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == version("orchestrator")


def test_the_dashboard_is_json(render: Renders) -> None:
    found = only(render(None, "grafana.dashboard=true"), "ConfigMap", f"orchestrator-dashboard-{NAMESPACE}")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    (text,) = found["data"].values()
    assert json.loads(text)["panels"]
