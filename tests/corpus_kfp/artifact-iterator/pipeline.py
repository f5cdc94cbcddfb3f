"""A loop over artifacts that a pipeline inside has collected; what each iteration makes is collected again."""

from typing import List

from kfp import dsl
from kfp.dsl import Artifact
from parts import read, rows, write


@dsl.pipeline(name="makes")
def makes(words: List[str]) -> List[Artifact]:
    with dsl.ParallelFor(words) as word:
        made = write(text=word)
    return dsl.Collected(made.outputs["data"])


@dsl.pipeline(name="artifacts")
def pipeline(words: List[str] = ["a", "b", "c"]) -> list:
    with dsl.ParallelFor(makes(words=words).output, parallelism=2) as artifact:
        text = read(data=artifact)
    rows(value=dsl.Collected(text.outputs["out"]))
    return dsl.Collected(text.outputs["out"])
