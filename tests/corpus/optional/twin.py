"""The pipeline `optional` in the KFP DSL."""

from in_kfp import fit, load
from kfp import dsl
from kfp.dsl import Dataset


@dsl.pipeline(name="optional")
def pipeline(rate: float = 0.3):
    loaded = load(source=dsl.importer(artifact_uri="s3://b/x.csv", artifact_class=Dataset).output)
    first = fit(data=loaded.outputs["train"], target="a", rate=rate).set_env_variable("LEVEL", "info")
    second = fit(data=loaded.outputs["train"], target="b", base=first.outputs["model"], rate=1.0)
    second.set_env_variable("LEVEL", "info")
