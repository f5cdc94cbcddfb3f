"""What an exit task is told: state, names and the first failure in words, of the whole group."""

from kfp import dsl
from parts import fail, told


@dsl.pipeline(name="final-status")
def pipeline():
    with dsl.ExitHandler(told(), name="guarded"):
        with dsl.ParallelFor(["a", "b"], parallelism=1) as item:
            fail(text=f"it is {item}")
