"""A real scheduler puts the tasks of a file where they belong: those of GPUs on the node with GPUs, others never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bed import pods

from orchestrator.pipeline import load
from orchestrator.runners.local import launch, placeholders
from orchestrator.runners.local.containers import limits

HERE = Path(__file__).parent / "pipelines"
NOTHING = placeholders.Context({}, {}, {})
# What holds a pod back that was bound to a node where nothing runs.
BOUND, WAITING = "True", "False"


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, dict[str, Any]]:
    """The pods of the tasks of the file, as Kubeflow Pipelines would make them."""
    compiled = load.pipeline(HERE / "machines" / "pipeline.yaml", [HERE / "components"])
    made = {}
    assert compiled.spec.root.dag
    for name, task in compiled.spec.root.dag.tasks.items():
        label = compiled.spec.components[task.component_ref.name].executor_label
        container = compiled.spec.deployment_spec.executors[label].container
        assert container
        asked, _ = launch.platform_of(compiled.platform, label)
        program = pods.Program(container.image, container.command)
        made[name] = pods.pod(name, program, limits.of(container.resources, NOTHING), asked)
    return made


@pytest.fixture
def place(api: Any, workers: Any, new_namespace: Any, fake: Mapping[str, str]) -> Iterator[Any]:
    """Where the scheduler puts pods, one after another: a node, or its words for why nowhere."""
    namespace = new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}, tolerate=fake)
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = []

    def placed(pod: Mapping[str, Any]) -> str:
        name = pod["metadata"]["name"]
        api.create(path, pod)
        made.append(name)
        seen = api.until(f"{path}/{name}", lambda each: _scheduled(each) is not None)
        condition = _scheduled(seen)
        assert condition
        return str(seen["spec"]["nodeName"] if condition["status"] == BOUND else condition["message"])

    yield placed
    for name in made:
        api.delete(f"{path}/{name}", now=True)


def _scheduled(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    conditions = pod.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "PodScheduled"), None)


def test_a_task_without_wishes_goes_to_the_plain_node(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["plain"]) == workers.plain


def test_a_task_that_asks_for_a_gpu_goes_to_the_gpu_node(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["gpu"]) == workers.gpu


def test_a_product_is_found_by_its_label(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["product"]) == workers.gpu


def test_a_product_that_no_node_has_is_waited_for(place: Any, workers: Any, tasks: Any) -> None:
    assert "node affinity" in place(tasks["other-product"])


def test_a_gpu_that_is_taken_is_waited_for(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["gpu"]) == workers.gpu
    assert place(tasks["product"]) == workers.gpu
    third = {**tasks["gpu"], "metadata": {**tasks["gpu"]["metadata"], "name": "third"}}
    assert "Insufficient nvidia.com/gpu" in place(third)


def test_a_full_plain_node_does_not_drive_tasks_onto_gpus(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["large"]) == workers.plain
    said = place(tasks["also-large"])
    assert "Insufficient cpu" in said
    assert "untolerated taint" in said


def test_spot_capacity_is_used_where_it_is_asked_for(place: Any, workers: Any, tasks: Any) -> None:
    assert place(tasks["spot"]) == workers.spot


def test_a_label_that_no_node_has_is_waited_for(place: Any, workers: Any, tasks: Any) -> None:
    assert "node affinity/selector" in place(tasks["elsewhere"])


def test_every_pod_carries_the_labels_of_the_file(tasks: Any) -> None:
    for pod in tasks.values():
        told = pod["metadata"]["labels"]
        assert {told["project"], told["environment"], told["pipeline"]} == {"tests", "dev", "machines"}
