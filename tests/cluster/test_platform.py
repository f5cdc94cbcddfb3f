"""The API server takes the pods that KFP's driver makes of our files, in a namespace of the level "restricted"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.pipeline import load
from tests.pipeline import driver

from .conftest import RefusedError

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def _pods(file: Path) -> dict[str, Any]:
    compiled = load.pipeline(file, [CORPUS / "components"] if CORPUS in file.parents else [])
    return driver.pods(compiled.spec, compiled.platform)


@pytest.mark.parametrize("name", ["penguins", "flights"])
def test_our_examples_are_admitted_where_root_is_not(api: Any, new_namespace: Any, name: str) -> None:
    namespace = new_namespace(labels=RESTRICTED)
    for label, pod in _pods(ROOT / "pipelines" / name / "pipeline.yaml").items():
        api.apply(f"/api/v1/namespaces/{namespace}/pods/{label}", pod, dry_run=True)


@pytest.mark.parametrize("case", ["platform", "places", "pods", "policies"])
def test_every_setting_is_one_of_kubernetes(api: Any, new_namespace: Any, case: str) -> None:
    namespace = new_namespace()
    for label, pod in _pods(CORPUS / case / "pipeline.yaml").items():
        made = api.apply(f"/api/v1/namespaces/{namespace}/pods/{label}", pod, dry_run=True)
        assert made["spec"]["containers"][0]["name"] == "main"


def test_an_image_that_may_be_roots_is_refused_where_root_is(api: Any, new_namespace: Any) -> None:
    namespace = new_namespace(labels=RESTRICTED)
    pod = _pods(CORPUS / "policies" / "pipeline.yaml")["exec-say"]
    with pytest.raises(RefusedError, match="runAsNonRoot != true"):
        api.apply(f"/api/v1/namespaces/{namespace}/pods/exec-say", pod, dry_run=True)
