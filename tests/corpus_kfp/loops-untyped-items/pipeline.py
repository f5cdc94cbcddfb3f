"""Items of a list without a type are text to the SDK: compared as text, and still numbers to a task that wants one."""

from kfp import dsl
from parts import count, say


@dsl.pipeline(name="untyped")
def pipeline(items: list = [1, 2]):
    with dsl.ParallelFor(items) as item:
        count(value=item).set_display_name("number")
        say(text=item).set_display_name("text")
        with dsl.If(item == "2"):
            count(value=item).set_display_name("inside")
