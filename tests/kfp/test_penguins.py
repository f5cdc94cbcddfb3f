"""The main job on Kubeflow Pipelines: the outcome is that of this machine, whether it publishes or not."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import make
from tests.kfp.conftest import Kfp, Remote


def test_the_penguins_end_as_they_do_here(tmp_path: Path, kfp: Kfp) -> None:
    remote = Remote(make(tmp_path / "penguins", "penguins"), kfp)
    ended = remote.run("--unpinned")
    there = remote.show()
    assert there["status"] == "SUCCEEDED"
    for line in (
        "publish: published: f1 = ",
        "model  penguins version 1",
        "look   kubectl get inferenceservice penguins",
    ):
        assert line in ended.out
    rejected = remote.run("--unpinned", "-a", "min_f1=1.5")
    assert "rejected" in rejected.out
    told = remote.show()
    assert told["status"] == "REJECTED"
    statuses = {task["name"]: task["status"] for task in told["tasks"]}
    assert (statuses["train"], statuses["deploy"]) == ("SKIPPED", "NOT_TRIGGERED")

    assert remote.orc("run", "pipeline.yaml").code == 0
    here = remote.show()
    try:
        assert here["outputs"]["parameters"] == there["outputs"]["parameters"]
        digests = [_digests(each["tasks"]) for each in (here, there)]
        assert digests[0].keys() == digests[1].keys()
        assert here["status"] == there["status"]
    finally:
        remote.project.close()


def _digests(tasks: list[dict[str, object]]) -> dict[str, object]:
    return {str(task["name"]): (task["status"], task["outputs"]) for task in tasks}
