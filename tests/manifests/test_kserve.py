"""An endpoint file becomes objects of a cluster: goldens, refusals, and what must hold for every case."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import source
from orchestrator.errors import OrchestratorError, PipelineError
from orchestrator.serving import endpoint
from orchestrator.serving.kserve import check, manifests, objects, payload, runtime
from tests.manifests import cases

HERE = Path(__file__).parent
Golden = Callable[[Path, str], None]
each_case = pytest.mark.parametrize("folder", cases.ALL, ids=lambda folder: folder.name)


def render(folder: Path) -> list[Any]:
    return cases.read(folder).render()


@each_case
def test_an_endpoint_file_becomes_objects(folder: Path, golden: Golden) -> None:
    golden(folder / "expected.yaml", cases.text(render(folder)))


def test_the_runtime_of_endpoints(golden: Golden) -> None:
    made = [runtime.cluster_serving_runtime(cases.IMAGE, knative=knative) for knative in (False, True)]
    golden(HERE / "runtime" / "expected.yaml", cases.text(made))


def expected(file: Path) -> str:
    told = [line for line in file.read_text().splitlines() if line.startswith("# error: ")]
    return "\n".join(line.removeprefix("# error: ") for line in told)


@pytest.mark.parametrize("file", sorted(HERE.glob("refused/*.yaml")), ids=lambda file: file.stem)
def test_what_a_cluster_cannot_give_is_refused_with_its_place(file: Path) -> None:
    document = source.read(file, name=file.name)
    with pytest.raises(PipelineError) as caught:
        check.check(document, endpoint.parse(document))
    assert str(caught.value) == expected(file)


def told(service: Any) -> str:
    variables = service["spec"]["predictor"]["model"]["env"]
    assert variables[0]["name"] == payload.VARIABLE
    return variables[0]["value"]


@each_case
def test_what_the_pod_is_told_arrives_whole(folder: Path) -> None:
    """What KServe's template and Kubernetes' variables leave alone, and the server reads back as it was meant."""
    case = cases.read(folder)
    if not case.place.server.is_ours:
        return
    text = told(objects.inference_service(case.declaration, case.place))
    assert "{{" not in text
    assert "$" not in text
    back = payload.load(text)
    assert back.example == {"inputs": case.declaration.example["inputs"][:1]}
    sections = ("routing", "batching", "capture", "asynchronous")
    assert [getattr(back.spec, each) for each in sections] == [
        getattr(case.declaration.spec, each) for each in sections
    ]
    assert [v.model_copy(update={"path": ""}) for v in case.declaration.variants] == list(back.variants)
    assert (back.name, back.spec.limits) == (case.declaration.name, case.declaration.spec.limits)
    assert (back.run, back.declared_at, back.url) == ("", "", "")


@each_case
def test_every_name_and_label_fits_into_kubernetes(folder: Path) -> None:
    for each in render(folder):
        name = each["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
        if each["kind"] != objects.KIND:
            continue
        assert len(f"isvc.{name}-predictor") <= 63
        for canary in each["spec"].get("canary", ()):
            assert len(f"isvc.{name}-{canary['predictor']['name']}-predictor") <= 63


def marked(**changed: Any) -> str:
    case = cases.read(HERE / "gpu")
    spec = endpoint.dump(case.declaration.spec)
    for path, value in changed.items():
        *parents, last = path.split("__")
        inner = spec
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    declaration = case.declaration.model_copy(update={"spec": endpoint.Endpoint.model_validate_json(json.dumps(spec))})
    return objects.mark(objects.inference_service(declaration, case.place))


def test_pods_are_told_apart_by_what_makes_them_differ_and_by_nothing_else() -> None:
    before = marked()
    assert marked(scaling__max=5, metadata__labels={"team": "other"}, metadata__description="x") == before
    for differing in (
        {"resources__memory": "4Gi"},
        {"limits__concurrency": 3},
        {"placement__nodeSelector": {}},
        {"limits__timeout": "9s"},
    ):
        assert marked(**differing) != before


def test_another_deployment_of_the_same_changes_nothing() -> None:
    case = cases.read(HERE / "small")
    again = case.declaration.model_copy(update={"run": "run-2", "declared_at": "2027-01-01", "url": "http://x"})
    assert manifests.render(again, case.place) == manifests.render(case.declaration, case.place)


def test_an_example_too_wide_for_a_pod_is_refused() -> None:
    case = cases.read(HERE / "small")
    row = {f"column_{number}": "x" * 50 for number in range(2000)}
    wide = case.declaration.model_copy(update={"example": {"inputs": [row]}})
    with pytest.raises(OrchestratorError, match=r"endpoint 'penguins' has 1\d\d,\d+ bytes to be told to its server"):
        manifests.render(wide, case.place)
