"""What a deployment on a cluster sees of its canary: its replicas alone, and that somebody must give it its share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components.deploy.canaries import Canaries
from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving.kserve import canary, objects
from tests.manifests import cases


def service(name: str) -> Any:
    case = cases.read(cases.HERE / name)
    return objects.inference_service(case.declaration, case.place)


def canaries(cluster: Any, applied: list[Any]) -> Canaries:
    """From `shares` to `small`, on a cluster that is only what is asked of it."""
    before, after = service("shares"), service("small")
    declaration = cases.read(cases.HERE / "small").declaration
    return Canaries(cluster, declaration, before, after, applied.append, lambda: applied.append(after), lambda _: None)


def test_without_a_gateway_a_share_would_be_a_word_and_nothing_more() -> None:
    applied: list[Any] = []
    cluster = SimpleNamespace(catalogue=SimpleNamespace(knows=lambda _: False))
    traffic = canaries(cluster, applied)
    with pytest.raises(OrchestratorError, match="through the Gateway API, which this cluster does not have") as refused:
        traffic.shift(10)
    assert refused.value.hint == "write rollout: {strategy: all_at_once}; its alarms are watched, too"
    assert applied == []
    assert not traffic.was_applied
    # All at once needs nobody to split anything.
    assert traffic.shift(100) == ("main",)
    assert applied == [service("small")]


def test_what_somebody_else_changed_meanwhile_is_seen() -> None:
    live: list[Any] = [None]
    cluster = SimpleNamespace(catalogue=SimpleNamespace(knows=lambda _: True), get=lambda *_, **__: live[0])
    cluster.list = lambda *_, **__: ()
    applied: list[Any] = []
    traffic = canaries(cluster, applied)
    traffic.shift(0)
    live[0] = applied[-1]
    assert (canary.share(live[0]), objects.mark(live[0])) == (0, objects.mark(service("shares")))
    traffic.shift(20)
    live[0] = applied[-1]
    traffic.check()
    live[0] = service("gpu")
    with pytest.raises(OrchestratorError, match="somebody else changed it meanwhile"):
        traffic.shift(100)
    assert canary.share(applied[-1]) == 20


def pod(mark: str, **status: Any) -> Any:
    told = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "127.0.0.1", **status}
    ports = [{"name": "http1", "containerPort": 1}]
    metadata = {"name": "p", "annotations": {objects.MARK: mark}}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "kserve-container", "ports": ports}]},
        "status": told,
    }


def test_only_new_replicas_that_are_ready_are_asked_what_they_count() -> None:
    mark = objects.mark(service("small"))
    pods = [pod("old"), pod(mark, conditions=[]), pod(mark, podIP="")]
    cluster = SimpleNamespace(list=lambda *_, **__: pods)
    traffic = canaries(cluster, [])
    assert traffic.read().counts == {}
    pods.append(pod(mark))
    with pytest.raises(BackendError, match="model server"):
        traffic.read()  # Nobody listens at that port.
