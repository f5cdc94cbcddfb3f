"""Only the iterations whose branch ran are collected; when none did, an empty list."""

from typing import List

from kfp import dsl
from parts import plus, rows


@dsl.pipeline(name="over-skipped")
def pipeline(limit: int = 2) -> List[int]:
    with dsl.ParallelFor([1, 2, 3]) as item:
        with dsl.If(item > limit):
            doubled = plus(a=item, b=item)
    rows(value=dsl.Collected(doubled.outputs["out"]))
    return dsl.Collected(doubled.outputs["out"])
