"""Lightweight components around an If and an Else: what ran, and what came of it."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def flip(heads: bool) -> str:
    return "heads" if heads else "tails"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def shout(text: str) -> str:
    return text.upper()


@dsl.pipeline(name="branches")
def pipeline(heads: bool = False) -> str:
    coin = flip(heads=heads)
    with dsl.If(coin.output == "heads"):
        first = shout(text="it is heads").set_display_name("first")
    with dsl.Else():
        second = shout(text="it is tails").set_display_name("second")
    return dsl.OneOf(first.output, second.output)
