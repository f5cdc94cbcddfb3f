"""Comparisons of whole numbers with others: the SDK wraps them in `double(...)`."""

from kfp import dsl
from parts import count, done, number


@dsl.pipeline(name="mixed")
def pipeline(whole: int = 1, half: float = 0.5):
    one = count(value=whole)
    other = number(value=half)
    with dsl.If(one.outputs["out"] > 0.5):
        done().set_display_name("task-and-literal")
    with dsl.If(one.outputs["out"] > other.outputs["out"]):
        done().set_display_name("task-and-task")
    with dsl.If(half < whole):
        done().set_display_name("parameter-and-parameter")
    with dsl.If(half >= 1):
        done().set_display_name("float-and-whole-literal")
    with dsl.If(other.outputs["out"] == 0.5):
        done().set_display_name("equal")
