"""The compiled file is the pipeline: it runs, from the same cache, and the KFP SDK takes it."""

from __future__ import annotations

import pytest

from .conftest import Project


def test_a_compiled_file_runs_like_its_source(penguins: Project) -> None:
    penguins.run()
    before, outputs = penguins.published(), penguins.show()["outputs"]
    assert penguins.orc("compile", "pipeline.yaml", "-o", "x.ir.yaml").code == 0
    ended = penguins.run(file="x.ir.yaml")
    assert '"predictions"' in ended.out
    assert penguins.show()["outputs"] == outputs
    assert set(penguins.statuses().values()) - {"SUCCEEDED"} == {"SKIPPED"}
    assert penguins.published() == before


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::SyntaxWarning")  # Of kfp.
def test_the_kfp_sdk_takes_it(penguins: Project) -> None:
    import yaml
    from google.protobuf import json_format
    from kfp import components
    from kfp.pipeline_spec import pipeline_spec_pb2

    assert penguins.orc("compile", "pipeline.yaml", "-o", "x.ir.yaml").code == 0
    file = penguins.folder / "x.ir.yaml"
    loaded = components.load_component_from_file(str(file))
    assert loaded.name == "penguins"
    spec, *_ = yaml.safe_load_all(file.read_text())
    judged = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert set(judged.root.input_definitions.parameters) == {"source", "min_f1"}
