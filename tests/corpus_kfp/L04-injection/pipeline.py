"""A value is a value, whatever it looks like."""

from kfp import dsl
from parts import done, say


@dsl.pipeline(name="injection")
def pipeline(word: str = "x' or 'a'=='a' or 'b'=='"):
    with dsl.If(word == "never"):
        done().set_display_name("never")
    with dsl.If(say(text=word).outputs["out"] == "never"):
        done().set_display_name("not either")
