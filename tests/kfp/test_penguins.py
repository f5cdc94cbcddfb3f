"""The main job on Kubeflow Pipelines: all of it, up to what is told of the endpoint.

That a run there comes to what one here comes to is seen with smaller pipelines (`test_runs`), and what gates decide in
`tests/runners_kfp`.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import make
from tests.kfp.conftest import Kfp, Remote


def test_the_penguins_are_published(tmp_path: Path, kfp: Kfp) -> None:
    remote = Remote(make(tmp_path / "penguins", "penguins"), kfp)
    ended = remote.run("--unpinned")
    there = remote.show()
    assert there["status"] == "SUCCEEDED"
    assert {task["status"] for task in there["tasks"]} == {"SUCCEEDED"}
    for line in (
        "publish: published: f1 = ",
        "model  penguins version 1",
        "look   kubectl get inferenceservice penguins",
    ):
        assert line in ended.out
    assert there["outputs"]["parameters"]["f1"] > 0.85
