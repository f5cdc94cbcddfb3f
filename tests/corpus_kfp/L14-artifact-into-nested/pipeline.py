"""An artifact given to a pipeline inside, and from there to one inside that."""

from kfp import dsl
from kfp.dsl import Artifact, Input
from parts import read, write


@dsl.pipeline(name="deepest")
def deepest(in_dataset: Input[Artifact]) -> str:
    return read(data=in_dataset).outputs["out"]


@dsl.pipeline(name="deep")
def deep(in_dataset: Input[Artifact]) -> str:
    return deepest(in_dataset=in_dataset).output


@dsl.pipeline(name="into-nested")
def pipeline() -> str:
    made = write(text="down and up")
    return deep(in_dataset=made.outputs["data"]).output
