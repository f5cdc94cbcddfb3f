"""After a failure everything runs that does not depend on it: beside it, in other groups, other iterations."""

from kfp import dsl
from parts import count, done, fail, say


@dsl.container_component
def odd(value: int):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", "exit $(($0 % 2))"], args=[value])


@dsl.pipeline(name="not-fail-fast")
def pipeline(n: int = 1):
    broken = fail()
    say(text=broken.outputs["out"]).set_display_name("depends")
    first = count(value=n).set_display_name("first")
    count(value=first.outputs["out"]).set_display_name("second")
    with dsl.If(n == 1):
        done().set_display_name("in a group")
        fail().set_display_name("fails in a group")
    with dsl.ParallelFor([1, 2, 3]) as item:
        checked = odd(value=item)
        done().after(checked).set_display_name("after odd")
