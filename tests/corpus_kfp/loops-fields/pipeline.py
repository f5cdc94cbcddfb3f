"""Items that are mappings: `item.a` in tasks, in text and in a loop inside."""

from kfp import dsl
from parts import say


@dsl.pipeline(name="fields")
def pipeline(given: list = [{"a": 1, "b": "it's", "c": ["x", "y"]}, {"a": 2, "b": '"', "c": []}]):
    with dsl.ParallelFor([{"a": "1", "b": "one"}, {"a": "2", "b": "two"}]) as item:
        say(text=item.a).set_display_name("a")
        say(text=f"{item.a}{item.b}").set_display_name("b")
    with dsl.ParallelFor(given) as item:
        say(text=item.b).set_display_name("text")
        say(text=item.a).set_display_name("number")
        with dsl.ParallelFor(item.c) as letter:
            say(text=letter).set_display_name("letter")
