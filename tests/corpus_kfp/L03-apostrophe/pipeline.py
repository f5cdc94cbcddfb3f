"""Values with apostrophes, quotes and backslashes are compared as they are."""

from kfp import dsl
from parts import done, say


@dsl.pipeline(name="apostrophe")
def pipeline(word: str = "it's", other: str = "it's"):
    with dsl.If(say(text=word).outputs["out"] == other):
        done().set_display_name("same")
    with dsl.Else():
        done().set_display_name("different")
