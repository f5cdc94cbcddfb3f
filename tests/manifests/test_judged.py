"""KServe's own Python models know every field we write, and its type."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import aside

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def judge() -> Path:
    """The Python that has the kserve package."""
    return aside.kserve()


def asked(python: Path, manifests: list[Any]) -> list[list[str]]:
    done = subprocess.run(
        [python, HERE / "judge.py"],
        input=json.dumps(manifests),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def rendered(kind: str) -> list[Any]:
    documents = [each for file in sorted(HERE.glob("*/expected.yaml")) for each in yaml.safe_load_all(file.read_text())]
    return [each for each in documents if each["kind"] == kind]


def test_kserve_knows_all_that_we_write_and_none_of_what_it_should_not(judge: Path) -> None:
    services, runtimes = rendered("InferenceService"), rendered("ClusterServingRuntime")
    graphs = rendered("InferenceGraph")
    assert (len(services), len(runtimes), len(graphs)) == (14, 2, 1)
    small = next(each for each in services if each["metadata"]["name"] == "penguins")
    wrong = [copy.deepcopy(small) for _ in range(4)]
    predictors = [each["spec"]["predictor"] for each in wrong]
    predictors[0]["minReplica"] = 1
    predictors[1]["maxReplicas"] = "3"
    del predictors[2]["model"]["modelFormat"]
    predictors[3]["model"]["env"][0]["valu"] = ""
    canaried = copy.deepcopy(next(each for each in services if "canary" in each["spec"]))
    canaried["spec"]["canary"][0]["predictor"]["autoScaling"] = {"metrics": [{"type": "External", "externally": {}}]}
    routed = copy.deepcopy(graphs[0])
    routed["spec"]["nodes"]["root"]["steps"][0]["weight"] = 67.5
    good = [*services, *runtimes, *graphs]
    told = asked(judge, [*good, *wrong, canaried, routed])
    assert told[: len(good)] == [[]] * len(good)
    where, canary = "InferenceService.spec.predictor", "InferenceService.spec.canary[0].predictor"
    assert told[len(good) :] == [
        [f"{where}: V1beta1PredictorSpec has no field minReplica"],
        [f"{where}.maxReplicas: '3' is not int"],
        [f"{where}.model: Invalid value for `model_format`, must not be `None`"],
        [f"{where}.model.env[0]: V1EnvVar has no field valu"],
        [f"{canary}.autoScaling.metrics[0]: V1beta1MetricsSpec has no field externally"],
        ["InferenceGraph.spec.nodes.root.steps[0].weight: 67.5 is not int"],
    ]
