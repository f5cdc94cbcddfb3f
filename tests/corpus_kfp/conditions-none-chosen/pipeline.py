"""Two branches without an Else: when none runs, nothing has failed."""

from kfp import dsl
from parts import done, say


@dsl.pipeline(name="none-chosen")
def pipeline(n: int = 3):
    with dsl.If(n == 1):
        say(text="one").set_display_name("one")
    with dsl.If(n == 2):
        inside = done().set_display_name("inside")
        done().after(inside).set_display_name("after inside")
