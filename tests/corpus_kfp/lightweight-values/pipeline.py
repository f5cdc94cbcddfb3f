"""Lightweight components: values of every type in and out, several outputs, defaults."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def all_types(n: int, x: float, s: str, b: bool, r: list, d: dict, z: str = "default") -> NamedTuple(
    "Out", n=int, x=float, s=str, b=bool, r=list, d=dict
):
    from collections import namedtuple

    told = namedtuple("Out", "n x s b r d")
    return told(n + 1, x / 2, s + z, not b, [*r, "end"], {**d, "more": r})


@dsl.pipeline(name="values")
def pipeline(
    n: int = 1, x: float = 3.0, s: str = "it's ", b: bool = True, r: list = ["a", "b"], d: dict = {"k": "v"}
) -> NamedTuple("Out", n=int, x=float, s=str, b=bool, r=list, d=dict):
    made = all_types(n=n, x=x, s=s, b=b, r=r, d=d)
    outputs = NamedTuple("Out", n=int, x=float, s=str, b=bool, r=list, d=dict)
    return outputs(**{name: made.outputs[name] for name in "nxsbrd"})
