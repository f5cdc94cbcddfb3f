"""A loop of lightweight components over an argument, collected."""

from typing import List

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def double(text: str) -> str:
    return text + text


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def join(texts: List[str]) -> str:
    return "-".join(texts)


@dsl.pipeline(name="loop")
def pipeline(words: List[str] = ["a", "b"]) -> str:
    with dsl.ParallelFor(words, parallelism=2) as word:
        doubled = double(text=word)
    return join(texts=dsl.Collected(doubled.output)).output
