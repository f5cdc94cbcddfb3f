"""The pipeline `loop` in the KFP DSL."""

from typing import List

from in_kfp import fit, gather, load, merge, say, split
from kfp import dsl
from kfp.dsl import Dataset


@dsl.pipeline(name="loop")
def pipeline(texts: list, source: str = "s3://bucket/penguins.csv", names: List[str] = ["a", "b"]):
    imported = dsl.importer(artifact_uri=source, artifact_class=Dataset)
    loaded = load(source=imported.output)
    with dsl.ParallelFor([{"rate": 0.1, "depth": 1.0}, {"rate": 0.2, "depth": 2.0}], parallelism=2) as item:
        fitted = fit(data=loaded.outputs["train"], target="species", rate=item.rate)
        fitted.set_env_variable("LEVEL", "info")
    merge(models=dsl.Collected(fitted.outputs["model"]))
    with dsl.ParallelFor(names) as item:
        said = say(text=item)
    gathered = gather(items=dsl.Collected(said.outputs["out"]))
    parts = split(text="a b c")
    with dsl.ParallelFor(parts.outputs["parts"]) as item:
        say(text=item).after(gathered)
    with dsl.ParallelFor(["x", "y"]) as item:
        say(text=item)
