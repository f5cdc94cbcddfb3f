"""The iterations of a loop run side by side."""

from kfp import dsl
from parts import nap


@dsl.pipeline(name="side-by-side")
def pipeline():
    with dsl.ParallelFor([1, 2, 3, 4], parallelism=4):
        nap()
