"""A pipeline as resources of Kubernetes, which name nothing of this machine."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.e2e.conftest import make
from tests.kfp.conftest import sums

FILES = {"ORC_KFP_FILES": "s3://mlpipeline/files"}


def test_it_is_two_resources_that_name_what_they_need_by_digest(tmp_path: Path) -> None:
    project = sums(tmp_path / "one")
    ended = project.orc("compile", "pipeline.yaml", "--format", "manifest", env={**FILES, "ORC_KFP_NAMESPACE": "team"})
    assert ended.code == 0, ended.text
    pipeline, version = yaml.safe_load_all(ended.out)
    assert [each["kind"] for each in (pipeline, version)] == ["Pipeline", "PipelineVersion"]
    assert {each["metadata"]["namespace"] for each in (pipeline, version)} == {"team"}
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"] == "sums"
    assert version["spec"]["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]["source"][
        "defaultValue"
    ].startswith("s3://mlpipeline/files/")
    assert "--upload puts them where the pipeline looks for them" in ended.err
    again = project.orc("compile", "pipeline.yaml", "--format", "manifest", env={**FILES, "ORC_KFP_NAMESPACE": "team"})
    assert again.out == ended.out
    (project.folder / "numbers.csv").write_text("5\n")
    other = project.orc("compile", "pipeline.yaml", "--format", "manifest", env=FILES)
    changed = list(yaml.safe_load_all(other.out))[1]
    assert changed["metadata"]["name"] != version["metadata"]["name"]


def test_images_must_be_pulled_by_somebody(tmp_path: Path) -> None:
    project = make(tmp_path / "penguins", "penguins")
    refused = project.orc("compile", "pipeline.yaml", "--format", "manifest", env=FILES)
    assert (refused.code, refused.out) == (1, "")
    assert "orc build pipeline.yaml --push" in refused.err
    taken = project.orc("compile", "pipeline.yaml", "--format", "manifest", "--unpinned", env=FILES)
    assert taken.code == 0
    assert "not named by a digest" in taken.err


def test_what_is_for_a_manifest_alone(tmp_path: Path) -> None:
    ended = sums(tmp_path / "one").orc("compile", "pipeline.yaml", "--upload")
    assert ended.code == 1
    assert "for --format manifest" in ended.err
