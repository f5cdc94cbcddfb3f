"""Conditions on items in loops, loops in conditions, and a condition around both."""

from kfp import dsl
from parts import count, done, say


@dsl.pipeline(name="conditions-in-loops")
def pipeline(flag: bool = True, words: list = ["go", "stop"]):
    with dsl.ParallelFor([1, 2, 3]) as item:
        counted = count(value=item)
        with dsl.If(counted.outputs["out"] > 1):
            with dsl.ParallelFor(words) as word:
                with dsl.If(word == "go"):
                    say(text=word).set_display_name("went")
                with dsl.Else():
                    say(text=item).set_display_name("stopped") if False else done().set_display_name("stopped")
    with dsl.If(flag == True):
        with dsl.ParallelFor(words) as word:
            with dsl.If(word == "stop"):
                say(text=word).set_display_name("inside")
