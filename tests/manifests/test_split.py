"""Who shares requests out on a cluster: whole percentages, canaries, a router; and what only our server does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import source
from orchestrator.errors import OrchestratorError, PipelineError
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Signature
from orchestrator.serving import endpoint
from orchestrator.serving.declarations import Variant
from orchestrator.serving.kserve import canary, check, notes, objects, servers, split
from orchestrator.serving.kserve.manifests import Split
from tests.manifests import cases

HEAD = "apiVersion: orchestrator/v1\nkind: Endpoint\nmetadata: {name: penguins}\n"


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=10).filter(lambda weights: sum(weights) > 0))
def test_weights_are_whole_percentages_of_a_hundred(weights: list[float]) -> None:
    percent = split.shares(weights)
    assert sum(percent) == 100
    exact = [100 * weight / sum(weights) for weight in weights]
    assert all(abs(ours - theirs) < 1 for ours, theirs in zip(percent, exact, strict=True))


def test_what_rounding_leaves_goes_to_those_it_took_most_from() -> None:
    assert split.shares([2, 1]) == (67, 33)
    assert split.shares([1, 1, 1]) == (34, 33, 33)
    assert split.shares([0.9, 0.1, 0]) == (90, 10, 0)


def service(name: str) -> Any:
    case = cases.read(cases.HERE / name)
    return json.loads(json.dumps(objects.inference_service(case.declaration, case.place)))


def test_a_canary_stands_beside_what_is_served_and_leaves_it_as_it_is() -> None:
    stable, new = service("shares"), service("small")
    for percent, replicas in ((0, 1), (10, 1), (50, 1), (51, 2), (99, 2)):
        found = canary.beside(stable, new, percent)
        assert found["spec"]["predictor"] == stable["spec"]["predictor"]
        assert found["metadata"] == stable["metadata"]
        (entry,) = found["spec"]["canary"]
        assert (entry["trafficPercent"], entry["predictor"]["minReplicas"]) == (percent, replicas)
        assert (canary.share(found), canary.mark(found)) == (percent, objects.mark(new))
        # KServe keeps their number itself, and refuses to be told how.
        assert not entry["predictor"].keys() & {"maxReplicas", "scaleMetric", "scaleTarget", "autoScaling"}
        assert canary.withdrawn(found) == stable
    assert (canary.share(stable), canary.mark(stable)) == (0, "")


def test_a_canary_that_kserve_would_make_other_than_asked_is_refused() -> None:
    with pytest.raises(OrchestratorError) as caught:
        canary.beside(service("gpu"), service("small"), 10)
    assert caught.value.message == (
        "a canary keeps nodeSelector pool, nodeSelector nvidia.com/gpu.product, tolerations, "
        "model.resources.limits nvidia.com/gpu, model.resources.requests nvidia.com/gpu "
        "of the version beside it, which the new one does without"
    )
    assert canary.beside(service("small"), service("gpu"), 10)


REFUSED: list[tuple[str, str, Split, str]] = [
    (
        "variants: [{model: penguins}]\nrouting: {key: x-customer}\n",
        "triton",
        "server",
        "penguins.yaml:5:1: the server triton does nothing of what 'routing' asks for",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\n",
        "openvino",
        "server",
        "penguins.yaml:4:11: the server openvino has one model, and the endpoint 2 variants",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\nrouting: {key: x-customer}\n",
        "orchestrator",
        "graph",
        "penguins.yaml:5:1: KServe's router does nothing of what 'routing' asks for",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1, shadow: 10}]\n",
        "orchestrator",
        "canary",
        "a gateway sends each request to one variant, and none to a shadow",
    ),
    (
        f"variants: [{{model: penguins}}, {{name: {'b' * 42}, model: penguins/1}}]\n",
        "orchestrator",
        "graph",
        "the name 'penguins' has 8 characters; an endpoint on a cluster has at most 5",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\nscaling: {by: knative}\n",
        "orchestrator",
        "canary",
        "KServe has no canaries on Knative",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\nscaling: {by: knative}\n",
        "orchestrator",
        "graph",
        "KServe's router may not reach Knative's gateway here",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\n",
        "triton",
        "graph",
        "penguins.yaml:4:11: KServe's router asks by V1 and the endpoint's name, and the server triton does not answer",
    ),
    (
        "variants: [{model: penguins}, {name: b, model: penguins/1}]\nmode: async\nasync: {output: s3://a/b}\n",
        "orchestrator",
        "graph",
        "penguins.yaml:5:7: its queue is on one disk, for replicas that have every variant",
    ),
    (
        "variants: [{model: penguins}]\nscaling: {max: 3, by: keda, metric: rps, target: 5}\n",
        "triton",
        "server",
        "penguins.yaml:5:10: the server triton does not count requests as ours does",
    ),
]


@pytest.mark.parametrize(("text", "server", "by", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_only_our_server_does_is_not_asked_of_others(
    tmp_path: Path, text: str, server: str, by: Split, message: str
) -> None:
    file = tmp_path / "penguins.yaml"
    file.write_text(HEAD + text)
    document = source.read(file, name=file.name)
    place = objects.Place("dev", server=servers.ALL[server], storage="s3://models")
    with pytest.raises(PipelineError) as caught:
        check.check(document, endpoint.parse(document), place, by=by)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


PLAIN = Manifest(
    "sklearn",
    "ridge",
    "regression",
    Signature((), (), ()),
    versions={"python": "3.11.9", "scikit-learn": "1.5.2", "numpy": "2.1.0", "joblib": "1.5.3"},
)
NATIVE = Variant(name="main", model="prices", version="4", path="", digest="x")


def told(server: str, variant: Variant, manifest: Manifest, *done: str) -> list[str]:
    return [message for message, _ in servers.problems(servers.ALL[server], variant, manifest, done=done)]


def test_kserves_scikit_learn_server_takes_only_what_it_serves_as_ours_does() -> None:
    assert told("sklearn", NATIVE, PLAIN) == []
    what = "variant 'main' (prices version 4)"
    assert told("sklearn", NATIVE, PLAIN, "impute", "scale") == [
        f"{what} transforms its columns first (impute, scale), which KServe's scikit-learn server does not do"
    ]
    assert told("sklearn", NATIVE, replace(PLAIN, classes=("a", "b"))) == [
        f"{what} answers with classes, and KServe's scikit-learn server with their numbers"
    ]
    newer = replace(PLAIN, versions={**PLAIN.versions, "scikit-learn": "1.5.20", "python": "3.12.1"})
    assert told("sklearn", NATIVE, newer) == [
        f"{what} was made with python 3.12.1, and the scikit-learn server of KServe 0.20 has 3.11",
        f"{what} was made with scikit-learn 1.5.20, and the scikit-learn server of KServe 0.20 has 1.5.2",
    ]
    assert len(told("sklearn", NATIVE, replace(PLAIN, versions={}))) == len(servers.PINNED)
    assert told("sklearn", NATIVE, replace(PLAIN, flavor="keras")) == [
        f"{what} is a model of keras, not of scikit-learn"
    ]


@pytest.mark.parametrize("server", ["triton", "openvino"])
def test_servers_of_onnx_take_onnx(server: str) -> None:
    assert told(server, NATIVE.model_copy(update={"format": "onnx"}), PLAIN) == []
    assert told(server, NATIVE, PLAIN) == [
        f"variant 'main' (prices version 4) is served as it was trained, and {server} takes ONNX"
    ]


NOTES = {
    "small": (),
    "shares": (),
    "gpu": ("metrics-server",),
    "idle": ("`servingRuntime.knative`",),
    "requests": ("KEDA", "Prometheus at http://prometheus-operated.monitoring.svc:9090"),
    "gateway": ("metrics-server", "Gateway API"),
    "graph": ("KEDA", "Prometheus at", "V1 only"),
    "queue": (),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_a_cluster_must_have_is_said(name: str) -> None:
    case = cases.read(cases.HERE / name)
    found = notes.notes(case.declaration.spec, case.place, case.by)
    assert len(found) == len(NOTES[name])
    assert all(part in line for part, line in zip(NOTES[name], found, strict=True))


def test_where_replicas_write_is_not_reached_by_itself() -> None:
    case = cases.read(cases.HERE / "queue")
    (found,) = notes.notes(case.declaration.spec, replace(case.place, reached=()), "server")
    assert "; s3://results is let through by networkPolicies.extra.predictorsTo" in found
    idle = cases.read(cases.HERE / "idle").declaration.spec
    device = idle.model_copy(update={"resources": case.declaration.spec.resources})
    assert "podspec-tolerations" in notes.notes(device, case.place, "server")[1]
