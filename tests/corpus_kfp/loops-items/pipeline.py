"""Lists to loop over: written in the pipeline, from an argument, from a task; of texts, numbers, lists and mappings."""

from typing import List

from kfp import dsl
from parts import count, number, rows, say


@dsl.pipeline(name="items")
def pipeline(words: list = ["a", "b"], numbers: List[int] = [1, 2]):
    with dsl.ParallelFor([1, 2]) as item:
        count(value=item).set_display_name("literal")
    with dsl.ParallelFor([0.5, 2.0]) as item:
        number(value=item).set_display_name("float")
    with dsl.ParallelFor(["it's", '"b" {{$}}']) as item:
        say(text=item).set_display_name("text")
    with dsl.ParallelFor(words) as item:
        say(text=item).set_display_name("argument")
    with dsl.ParallelFor(numbers) as item:
        count(value=item).set_display_name("typed")
    with dsl.ParallelFor(rows(value=["x", "y"]).outputs["out"]) as item:
        say(text=item).set_display_name("output")
