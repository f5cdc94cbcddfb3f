"""Collected of a loop in a loop is a list of lists, as its type says; the inner order is that of the items."""

from typing import List

from kfp import dsl
from parts import plus, rows


@dsl.pipeline(name="nested-collected")
def pipeline(outer: List[int] = [1, 2], inner: List[int] = [10, 20, 30]) -> List[List[int]]:
    with dsl.ParallelFor(outer) as one:
        with dsl.ParallelFor(inner) as two:
            added = plus(a=one, b=two)
    rows(value=dsl.Collected(added.outputs["out"]))
    return dsl.Collected(added.outputs["out"])
