"""Whole numbers stay whole in lists and mappings: as arguments, constants, outputs, items and collected."""

from typing import List

from kfp import dsl
from parts import plus, rows, table


@dsl.pipeline(name="whole")
def pipeline(numbers: List[int] = [1, 2, 3], mapping: dict = {"a": 1, "b": [2, 2.5, {"c": 3}]}) -> list:
    rows(value=numbers).set_display_name("argument")
    made = rows(value=[1, 2.5, 9007199254740991, True]).set_display_name("constant")
    rows(value=made.outputs["out"]).set_display_name("output")
    table(value=mapping).set_display_name("mapping")
    table(value={"x": 1, "y": {"z": [1.5, 2]}}).set_display_name("constant mapping")
    with dsl.ParallelFor(numbers) as item:
        added = plus(a=item, b=1)
    rows(value=dsl.Collected(added.outputs["out"])).set_display_name("collected")
    return dsl.Collected(added.outputs["out"])
