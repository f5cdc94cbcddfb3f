"""Alerts and dashboard speak of metrics that exist, in PromQL that Prometheus reads, and fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.serving.kserve import runtime
from orchestrator.serving.metrics import Metrics
from tests.helm.conftest import CHART, NAMESPACE, Manifest, Renders, only, program

HERE = Path(__file__).parent
# What Prometheus adds to what it collects, and what is joined to it here.
TARGET = {"job", "namespace", "pod", "le"}
# The names and labels of kube-state-metrics and of the kubelet, as their documentation has them; and of our monitors.
OTHERS: Mapping[str, set[str]] = {
    "up": set(),
    "kube_deployment_status_replicas_available": {"deployment"},
    "kube_deployment_spec_replicas": {"deployment"},
    "kube_pod_container_status_restarts_total": {"container"},
    "kube_cronjob_created": {"cronjob"},
    "kube_cronjob_status_last_successful_time": {"cronjob"},
    "kube_job_failed": {"job_name", "condition"},
    "kube_job_status_start_time": {"job_name"},
    "kubelet_volume_stats_available_bytes": {"persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"persistentvolumeclaim"},
    "monitor_feature_drift": {"pipeline", "endpoint", "variant", "feature", "method"},
}
_SERIES = re.compile(r"([a-z_][a-z0-9_]*)\{([^}]*)\}")
_GROUPED = re.compile(r"(?:by|on) \(([^)]*)\)")


@pytest.fixture(scope="module")
def exported() -> Mapping[str, set[str]]:
    """Every series the model server exports after one request, with its labels."""
    metrics = Metrics()
    timings = metrics.timings("penguins")
    for each in timings:
        each.observe(1)
    metrics.request("penguins", "main", "3", "v2", 200)
    metrics.in_flight("penguins", 1)
    metrics.loaded("penguins", ready=True, outcome="loaded")
    families = text_string_to_metric_families(metrics.text().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.fixture(scope="module")
def rules(render: Renders) -> Manifest:
    found: Manifest = only(render(CHART / "ci" / "full-values.yaml"), "PrometheusRule")["spec"]
    return found


@pytest.fixture(scope="module")
def dashboard() -> Manifest:
    found: Manifest = json.loads((CHART / "files" / "endpoints.json").read_text(encoding="utf-8"))
    return found


def _of_dashboard(dashboard: Manifest) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (each["expr"] for each in panel["targets"])
    yield from (each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")


def _of_rules(rules: Manifest) -> Iterator[str]:
    yield from (each["expr"] for group in rules["groups"] for each in group["rules"])


def test_alerts_and_dashboard_name_what_is_exported(
    exported: Mapping[str, set[str]], rules: Manifest, dashboard: Manifest
) -> None:
    known = {**exported, **OTHERS}
    seen = set()
    for expression in (*_of_rules(rules), *_of_dashboard(dashboard)):
        found = _SERIES.findall(expression)
        assert found, expression
        labels: set[str] = set(TARGET)
        for name, matchers in found:
            assert name in known, f"{name} in {expression}"
            seen.add(name)
            labels |= known[name]
            asked = set(re.findall(r"(\w+)\s*=~?\"", matchers))
            assert asked <= known[name] | TARGET, f"{name} has no {asked - known[name] - TARGET}"
        for each in _GROUPED.findall(expression):
            assert {part.strip() for part in each.split(",")} <= labels, expression
    assert {"requests_total", "request_predict_seconds_bucket", "model_ready", "monitor_feature_drift"} <= seen


def test_metrics_are_collected_from_where_they_are_served(render: Renders) -> None:
    found = render(CHART / "ci" / "full-values.yaml")
    endpoints = only(found, "PodMonitor")["spec"]["podMetricsEndpoints"]
    (port,) = only(render(), "ClusterServingRuntime")["spec"]["containers"][0]["ports"]
    # The second one is what Knative calls it.
    assert [each["port"] for each in endpoints] == [port["name"], "user-port"]
    assert port["containerPort"] == runtime.PORT
    for each in endpoints:
        assert {"targetLabel": "job", "replacement": "orchestrator-predictors"} in each["relabelings"]
    policy = only(found, "NetworkPolicy", "orchestrator-predictors")["spec"]["ingress"][0]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}} in policy["from"]


def test_every_alert_says_what_to_do(rules: Manifest) -> None:
    for group in rules["groups"]:
        for each in group["rules"]:
            assert each["labels"]["severity"] in ("warning", "critical")
            assert set(each["annotations"]) == {"summary", "description"}


def test_every_alert_is_tested(rules: Manifest) -> None:
    tested = yaml.safe_load((HERE / "alerts.yaml").read_text(encoding="utf-8"))["tests"]
    fired = {each["alertname"] for case in tested for each in case["alert_rule_test"] if each.get("exp_alerts")}
    assert fired == {each["alert"] for group in rules["groups"] for each in group["rules"]}


def test_panels_do_not_overlap(dashboard: Manifest) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_prometheus_reads_and_runs_the_alerts(rules: Manifest, tmp_path: Path) -> None:
    assert NAMESPACE == "somewhere"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(dict(rules)), encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text((HERE / "alerts.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    _promtool("check", "rules", tmp_path / "rules.yaml")
    _promtool("test", "rules", tmp_path / "alerts.yaml")


def test_prometheus_reads_the_dashboard(dashboard: Manifest, tmp_path: Path) -> None:
    given = {"$__rate_interval": "5m", "$namespace": "a", "$endpoint": "b"}
    expressions = [each for each in _of_dashboard(dashboard) if not each.startswith("label_values")]
    recorded = [{"record": f"panel:{number}", "expr": _filled(each, given)} for number, each in enumerate(expressions)]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}), encoding="utf-8")
    _promtool("check", "rules", path)


def _filled(expression: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def _promtool(*arguments: Any) -> None:
    found = program("promtool")
    if found is None:
        pytest.skip("needs promtool: `apt-get install prometheus` has it")
    command: Sequence[str] = [found, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
