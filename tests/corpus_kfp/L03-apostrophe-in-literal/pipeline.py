"""The SDK writes a literal into the condition as it is, so this condition is no CEL: that is told, and fails the run."""

from kfp import dsl
from parts import done


@dsl.pipeline(name="apostrophe-in-literal")
def pipeline(word: str = "it's"):
    with dsl.If(word == "it's"):
        done()
