"""The pipeline `chain` in the KFP DSL."""

from typing import NamedTuple

from in_kfp import fit, load, measure, say
from kfp import dsl
from kfp.dsl import Dataset, Model


@dsl.pipeline(name="chain", description="From data to a shipped model.")
def pipeline(target: str, source: str = "s3://bucket/penguins.csv", min_f1: float = 0.85) -> NamedTuple(
    "Outputs", f1=float, model=Model
):
    imported = dsl.importer(artifact_uri=source, artifact_class=Dataset)
    loaded = load(source=imported.output, key=["id"])
    said = say(text="loaded").after(loaded)
    fitted = fit(data=loaded.outputs["train"], target=target, options={"depth": 3}).after(said)
    fitted.set_env_variable("LEVEL", "info")
    measured = measure(model=fitted.outputs["model"], data=loaded.outputs["test"])
    with dsl.If(measured.outputs["f1"] > min_f1):
        say(text=measured.outputs["label"])
    return NamedTuple("Outputs", f1=float, model=Model)(measured.outputs["f1"], fitted.outputs["model"])
