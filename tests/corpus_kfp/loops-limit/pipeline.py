"""No more iterations at once than the limit allows, all of a loop with several tasks."""

from kfp import dsl
from parts import nap


@dsl.pipeline(name="limit")
def pipeline():
    with dsl.ParallelFor([1, 2, 3, 4, 5], parallelism=2):
        nap().set_display_name("nap")
