"""Pipelines in pipelines in a pipeline: arguments go down with their types, outputs come up."""

from kfp import dsl
from parts import count, plus, read, write


@dsl.pipeline(name="innermost")
def innermost(a: int, b: int = 10) -> int:
    return plus(a=a, b=b).outputs["out"]


@dsl.pipeline(name="inner")
def inner(a: int) -> int:
    first = innermost(a=a)
    return innermost(a=first.output, b=a).output


@dsl.pipeline(name="written")
def written(text: str) -> dsl.Artifact:
    return write(text=text).outputs["data"]


@dsl.pipeline(name="nested")
def pipeline(a: int = 1) -> int:
    part = inner(a=a).set_display_name("part")
    read(data=written(text="deep").output)
    return count(value=part.output).outputs["out"]
