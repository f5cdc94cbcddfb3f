"""Lightweight components with packages they need, all of them here already: no network is asked for."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def add(a: int, b: int = 1) -> int:
    return a + b


@dsl.pipeline(name="offline")
def pipeline(a: int = 2) -> int:
    return add(a=a).output
