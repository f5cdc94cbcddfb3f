"""The pipeline `nested` in the KFP DSL."""

from typing import NamedTuple

from in_kfp import say
from kfp import dsl


@dsl.pipeline(name="inner")
def inner(text: str, times: int = 3) -> NamedTuple("Outputs", said=str):
    said = say(text=f"in {text}")
    with dsl.If(times > 2):
        say(text=said.outputs["out"])
    return NamedTuple("Outputs", said=str)(said.outputs["out"])


@dsl.pipeline(name="nested")
def pipeline(word: str = "hello") -> NamedTuple("Outputs", said=str):
    first = inner(text=word)
    second = inner(text=first.outputs["said"], times=5)
    say(text=second.outputs["said"])
    return NamedTuple("Outputs", said=str)(first.outputs["said"])
