"""The SDK does not escape the literal, so this condition is no CEL: that is told, and the run has failed."""

from kfp import dsl
from parts import done


@dsl.pipeline(name="apostrophe-in-literal")
def pipeline(word: str = "it's"):
    with dsl.If(word == "it's"):
        done()
