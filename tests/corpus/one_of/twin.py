"""The pipeline `one-of` in the KFP DSL."""

from typing import NamedTuple

from in_kfp import fit, load, say
from kfp import dsl
from kfp.dsl import Dataset


@dsl.pipeline(name="one-of")
def pipeline(word: str = "hello", source: str = "s3://bucket/x.csv") -> NamedTuple("Outputs", out=str):
    imported = dsl.importer(artifact_uri=source, artifact_class=Dataset)
    said = say(text=word)
    with dsl.If(said.outputs["out"] == "a"):
        one = say(text="one")
    with dsl.Elif(said.outputs["out"] == "b"):
        two = say(text=word)
    with dsl.Else():
        three = say(text="three")
    chosen = dsl.OneOf(one.outputs["out"], two.outputs["out"], three.outputs["out"])
    say(text=chosen)
    with dsl.If(word == "big"):
        big = load(source=imported.output)
    with dsl.Else():
        small = load(source=imported.output, seed=1)
    fitted = fit(target="x", data=dsl.OneOf(big.outputs["train"], small.outputs["test"]))
    fitted.set_env_variable("LEVEL", "info")
    return NamedTuple("Outputs", out=str)(chosen)
