"""Several outputs of a pipeline inside, some from deeper down, as inputs of tasks and as outputs of the run."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact
from parts import count, number, read, rows, say, table, write


@dsl.pipeline(name="deepest")
def deepest(n: int) -> NamedTuple("Out", n=int, data=Artifact):
    outputs = NamedTuple("Out", n=int, data=Artifact)
    return outputs(n=count(value=n).outputs["out"], data=write(text="deepest").outputs["data"])


@dsl.pipeline(name="inner")
def inner(n: int, x: float) -> NamedTuple("Out", n=int, x=float, l=list, d=dict, data=Artifact):
    outputs = NamedTuple("Out", n=int, x=float, l=list, d=dict, data=Artifact)
    below = deepest(n=n)
    return outputs(
        n=below.outputs["n"],
        x=number(value=x).outputs["out"],
        l=rows(value=[1, "two"]).outputs["out"],
        d=table(value={"k": 1}).outputs["out"],
        data=below.outputs["data"],
    )


@dsl.pipeline(name="outputs")
def pipeline(n: int = 3) -> NamedTuple("Out", n=int, x=float, l=list, d=dict, data=Artifact, text=str):
    outputs = NamedTuple("Out", n=int, x=float, l=list, d=dict, data=Artifact, text=str)
    made = inner(n=n, x=0.5)
    with dsl.If(made.outputs["n"] == 3):
        say(text="three").set_display_name("three")
    with dsl.If(made.outputs["x"] > 0.5):
        say(text="more").set_display_name("more")
    return outputs(
        n=made.outputs["n"],
        x=made.outputs["x"],
        l=made.outputs["l"],
        d=made.outputs["d"],
        data=made.outputs["data"],
        text=read(data=made.outputs["data"]).outputs["out"],
    )
