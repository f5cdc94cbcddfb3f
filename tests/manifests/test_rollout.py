"""Whether replicas are the ones asked for, and what had proved itself: decided from objects alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.serving.kserve import canary, objects, proof, rollout
from tests.manifests import cases

MARK = "new"


def service(mark: str = MARK, *, minimum: int = 1, **status: Any) -> dict[str, Any]:
    predictor = {"annotations": {objects.MARK: mark}, "minReplicas": minimum, "model": {"runtime": "r"}}
    metadata = {"name": "penguins", "namespace": "dev", "labels": dict(objects.OURS)}
    return {"metadata": metadata, "spec": {"predictor": predictor}, "status": status or {"conditions": [condition()]}}


def condition(status: str = "True", name: str = "Ready", **more: str) -> dict[str, str]:
    return {"type": name, "status": status, **more}


def pod(mark: str, ready: bool = True, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    told = {"phase": phase, "conditions": [condition(str(ready))]}
    return {"metadata": {"annotations": {objects.MARK: mark}, **metadata}, "status": told}


REFUSED = {"transitionStatus": "InvalidSpec", "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "no"}}
QUOTA = condition("False", "PredictorReady", message="exceeded quota: small")

PROGRESS = [
    (service(), [pod(MARK)], "", True),
    # KServe says ready all along: of the replicas that were there before.
    (service(), [pod("old")], "0 of 1 replicas are ready", False),
    (service(), [pod("old"), pod(MARK, ready=False)], "0 of 1 replicas are ready", False),
    (service(), [pod("old"), pod(MARK)], "1 replica of before still to end", False),
    (service(), [pod("old", deletionTimestamp="now"), pod("old", phase="Failed"), pod(MARK)], "", True),
    (service(minimum=2), [pod(MARK)], "1 of 2 replicas are ready", False),
    # Scaled up by load meanwhile: each one counts.
    (service(), [pod(MARK), pod(MARK), pod(MARK, ready=False)], "2 of 3 replicas are ready", False),
    (service(conditions=[QUOTA]), [], "0 of 1 replicas are ready; exceeded quota: small", False),
    (service(conditions=[condition("Unknown")]), [pod(MARK)], "its replicas are ready, KServe is not", False),
    (service(conditions=[]), [pod(MARK)], "is its controller running?", False),
    (service(modelStatus=REFUSED), [], "KServe refuses it: no", False),
    (service("other"), [pod(MARK)], "the InferenceService was changed meanwhile", False),
    (None, [], "the InferenceService was deleted meanwhile", False),
]


def canaried(mark: str = "old", *, minimum: int = 1) -> dict[str, Any]:
    found = service(mark, minimum=3)
    found["spec"]["canary"] = [
        {"trafficPercent": 10, "predictor": {"annotations": {objects.MARK: MARK}, "minReplicas": minimum}}
    ]
    return found


PROGRESS += [
    # A canary is there when its own replicas are, whatever those beside it do.
    (canaried(), [pod("old"), pod("old")], "0 of 1 replicas are ready", False),
    (canaried(minimum=2), [pod("old"), pod(MARK)], "1 of 2 replicas are ready", False),
    (canaried(), [pod("old"), pod(MARK)], "", True),
    (canaried("other"), [pod("old"), pod(MARK)], "", True),
    (service("old"), [pod("old"), pod(MARK)], "the InferenceService was changed meanwhile", False),
]


def idle(latest: str = "2", ready: str = "True") -> dict[str, Any]:
    found = service(minimum=0, conditions=[condition(ready)])
    found["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Knative"}
    revisions = {"latestCreatedRevision": "2", "latestReadyRevision": latest}
    return {**found, "status": {**found["status"], "components": {"predictor": revisions}}}


PROGRESS += [
    # Knative keeps replicas of before for a while, and none at all that nobody asks.
    (idle(), [], "", True),
    (idle(), [pod("old"), pod(MARK)], "", True),
    (idle(), [pod("old")], "0 of 1 replicas are ready", False),
    (idle("1"), [pod("old"), pod(MARK)], "Knative's newest revision is not ready", False),
    (idle(ready="Unknown"), [pod(MARK)], "Knative's newest revision is not ready", False),
]


@pytest.mark.parametrize(("live", "pods", "text", "done"), PROGRESS, ids=range(len(PROGRESS)))
def test_how_far_a_rollout_is(live: Any, pods: list[Any], text: str, done: bool) -> None:
    now = rollout.progress(live, pods, MARK)
    assert (now.done, text in now.text, bool(now.text)) == (done, True, not done)
    assert now.lost == ("meanwhile" in text)
    assert now.refused == ("refuses" in text)


def test_a_predictor_is_there_though_a_canary_is_beside_it() -> None:
    live = canaried(minimum=1)
    assert rollout.progress(live, [pod("old"), pod("old"), pod("old"), pod(MARK)], "old").done
    stray = rollout.progress(live, [pod("old"), pod("old"), pod("old"), pod("before")], "old")
    assert stray.text == "1 replica of before still to end"


def test_the_address_is_what_kserve_says_or_that_of_its_service() -> None:
    assert rollout.url(service(), "penguins", "dev") == "http://penguins-predictor.dev.svc"
    assert rollout.url(service(address={"url": "http://there/"}), "penguins", "dev") == "http://there"


def live(manifest: Any, *managers: str, fields: Any = None) -> dict[str, Any]:
    """An object as the server holds it: what we applied, what a webhook added, and who holds which field."""
    entries = [{"manager": each, "operation": "Apply", "fieldsV1": {}} for each in managers]
    made: dict[str, Any] = json.loads(json.dumps(manifest))
    predictor = made["spec"]["predictor"]
    predictor["canaryTrafficPercent"] = 100
    predictor["model"]["env"].append({"name": "ADDED", "value": "by somebody"})
    entries.append({"manager": proof.MANAGER, "operation": "Apply", "fieldsV1": fields or owned(manifest)})
    made["metadata"] |= {"uid": "1", "managedFields": entries}
    made["metadata"]["annotations"]["somebody/elses"] = "x"
    return made | {"status": {}}


def owned(value: Any) -> Any:
    """The fields of a value in the server's words: lists of variables by name, other lists whole."""
    if isinstance(value, dict):
        return {f"f:{key}": owned(each) for key, each in value.items() if key not in ("apiVersion", "kind")}
    if isinstance(value, list) and value and "name" in value[0]:
        return {f'k:{{"name":"{each["name"]}"}}': {".": {}, **owned(each)} for each in value}
    return {}


def rendered(name: str) -> Any:
    case = cases.read(cases.HERE / name)
    return objects.inference_service(case.declaration, case.place)


@pytest.mark.parametrize("name", ["small", "gpu", "awkward"])
def test_what_is_put_back_is_what_was_applied_and_nothing_else(name: str) -> None:
    manifest = rendered(name)
    assert proof.applied(live(manifest)) == manifest


def test_the_next_deployment_knows_what_had_proved_itself() -> None:
    first, second = rendered("small"), rendered("gpu")
    assert proof.previous(None) is None
    # A person applied it, and answers for it.
    assert proof.previous(live(first)) == first
    # The first deployment is killed: nothing had proved itself.
    unproved = proof.prepared(first, None, None)
    assert proof.previous(live(unproved)) is None
    proved = live(unproved, proof.manager(first))
    assert proof.is_proved(proved)
    assert proof.previous(proved) == unproved
    # Another takes its place and is killed; the mark of the first says nothing about it.
    taken = live(proof.prepared(second, proof.previous(proved), proved), proof.manager(first))
    assert not proof.is_proved(taken)
    assert proof.previous(taken) == first
    assert proof.outdated(taken) == (proof.manager(first),)
    damaged = live({**unproved, "metadata": {**unproved["metadata"], "annotations": {proof.BEFORE: "{"}}})
    assert proof.previous(damaged) is None


def test_the_same_once_more_leaves_the_replicas_alone() -> None:
    """KServe copies annotations to the pods: an object that changes only in them would start them anew."""
    first, second = rendered("small"), rendered("gpu")
    before = live(proof.prepared(second, first, live(first)), proof.manager(second))
    again = proof.prepared(second, proof.previous(before), before)
    assert again == proof.applied(before)
    assert proof.prepared(first, proof.previous(live(first)), live(first)) == first


def test_a_canary_that_nobody_watches_any_more_is_not_put_back() -> None:
    first, second = rendered("small"), rendered("awkward")
    before = proof.prepared(first, None, None)
    tried = live(canary.beside(before, second, 10), proof.manager(first))
    assert canary.share(tried) == 10
    assert canary.mark(tried) == objects.mark(second)
    assert proof.is_proved(tried)
    assert proof.previous(tried) == before
    assert proof.prepared(first, proof.previous(tried), tried) == before
