"""What we ask of Kubernetes makes pods that its own schemas know, to the last field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ir
from orchestrator.ir import placement
from orchestrator.pipeline import load
from tests.pipeline import driver

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
CASES = [*sorted(CORPUS.glob("*/pipeline.yaml")), *sorted((ROOT / "pipelines").glob("*/pipeline.yaml"))]
VERSION = "1.36"
REASON = "`pip install kubernetes-validate`: schemas of Kubernetes"


def _pods(file: Path) -> dict[str, Any]:
    compiled = load.pipeline(file, [CORPUS / "components"] if CORPUS in file.parents else [])
    return driver.pods(compiled.spec, compiled.platform)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.parent.name)
def test_every_pod_is_one_to_kubernetes(file: Path) -> None:
    judge = pytest.importorskip("kubernetes_validate", reason=REASON)
    for pod in _pods(file).values():
        judge.validate(pod, VERSION, strict=True)


def test_the_judge_refuses_what_is_no_pod() -> None:
    judge = pytest.importorskip("kubernetes_validate", reason=REASON)
    pod = _pods(CORPUS / "pods" / "pipeline.yaml")["exec-need"]
    pod["spec"]["priority_class"] = "urgent"
    with pytest.raises(judge.ValidationError):
        judge.validate(pod, VERSION, strict=True)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.parent.name)
def test_every_pod_tells_whose_it_is(file: Path) -> None:
    compiled = load.pipeline(file, [CORPUS / "components"] if CORPUS in file.parents else [])
    for pod in _pods(file).values():
        labels = pod["metadata"]["labels"]
        assert labels["pipeline"] == compiled.spec.pipeline_info.name
        assert labels["app.kubernetes.io/managed-by"] == "orchestrator"


def test_our_own_components_are_never_root() -> None:
    pods = _pods(ROOT / "pipelines" / "penguins" / "pipeline.yaml")
    assert len(pods) == 8
    for pod in pods.values():
        context = pod["spec"]["containers"][0]["securityContext"]
        assert context == {**driver.HARDENED, "runAsNonRoot": True}, "what the level `restricted` wants"


def test_a_spot_task_keeps_its_own_demands() -> None:
    terms = _pods(CORPUS / "places" / "pipeline.yaml")["exec-say-6"]["spec"]["affinity"]["nodeAffinity"]
    demands = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    spot = {key for key, _ in placement.SPOT}
    for term in demands:
        keys = [each["key"] for each in term["matchExpressions"]]
        assert keys[0] == "zone"
        assert keys[-1] in spot
    assert len(demands) == 2 * len(spot)


def test_a_variable_has_one_value_and_a_volume_one_source() -> None:
    for file in CASES:
        for pod in _pods(file).values():
            main = pod["spec"]["containers"][0]
            assert all(len(each.keys() & {"value", "valueFrom"}) == 1 for each in main["env"]), json.dumps(main["env"])
            assert all(len(each) == 2 for each in pod["spec"]["volumes"]), json.dumps(pod["spec"]["volumes"])


def test_a_name_longer_than_a_label_is_cut(tmp_path: Path) -> None:
    name = "a" * 62 + "-" + "b" * 20
    file = tmp_path / "pipeline.yaml"
    text = (CORPUS / "pods" / "pipeline.yaml").read_text().replace("name: pods", f"name: {name}")
    file.write_text(text)
    compiled = load.pipeline(file, [CORPUS / "components"])
    pods = driver.pods(compiled.spec, compiled.platform)
    assert {pod["metadata"]["labels"]["pipeline"] for pod in pods.values()} == {"a" * 62}
    assert ir.to_data(compiled.platform)["platforms"]["kubernetes"]["pipelineConfig"]["activeDeadlineSeconds"] == 21600
