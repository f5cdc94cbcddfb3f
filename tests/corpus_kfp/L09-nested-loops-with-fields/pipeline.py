"""A loop in a loop over a pipeline parameter, with fields of both items, in tasks and in conditions."""

from kfp import dsl
from parts import count, say


@dsl.pipeline(name="nested-fields")
def pipeline(outer: list = [{"p_a": 1, "p_b": 10}, {"p_a": 2, "p_b": 20}], inner: list = [{"q": 100}, {"q": 200}]):
    with dsl.ParallelFor(outer) as one:
        count(value=one.p_a).set_display_name("single")
        with dsl.ParallelFor(inner) as two:
            say(text=f"{one.p_b}-{two.q}-{one.p_a}").set_display_name("both")
            with dsl.If(one.p_a == 2):
                with dsl.If(two.q == 100):
                    say(text=f"{two.q}").set_display_name("chosen")
