"""The pipeline `importer` in the KFP DSL."""

from in_kfp import load, say, split
from kfp import dsl
from kfp.dsl import Dataset


@dsl.pipeline(name="importer")
def pipeline(source: str = "s3://bucket/penguins.csv"):
    given = dsl.importer(artifact_uri=source, artifact_class=Dataset)
    load(source=given.output)
    load(source=dsl.importer(artifact_uri="gs://bucket/more.csv", artifact_class=Dataset).output, seed=1)
    load(source=dsl.importer(artifact_uri="data.csv", artifact_class=Dataset).output, seed=2)
    load(source=given.output, seed=3)
    split(text="x")
    said = say(text="s3://bucket/")
    load(source=dsl.importer(artifact_uri=said.outputs["out"], artifact_class=Dataset).output)
