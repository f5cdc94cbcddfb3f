"""Lightweight components in a pipeline inside, and an artifact between them."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def make(text: str, data: Output[Dataset]):
    with open(data.path, "w") as stream:
        stream.write(text)
    data.metadata["length"] = f"{len(text)} letters"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def length(data: Input[Dataset]) -> str:
    with open(data.path) as stream:
        return f"{stream.read()} {data.metadata['length']}"


@dsl.pipeline(name="inner")
def inner(text: str = "inner") -> Artifact:
    return make(text=text).outputs["data"]


@dsl.pipeline(name="nested")
def pipeline(text: str = "some") -> str:
    return length(data=inner(text=text).output).output
