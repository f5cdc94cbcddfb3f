"""Tasks that say `after`: each starts when those before it have succeeded; what depends on a failure does not."""

from kfp import dsl
from parts import done, fail


@dsl.pipeline(name="order-explicit")
def pipeline():
    first = done().set_display_name("first")
    second = done().after(first).set_display_name("second")
    done().after(first, second).set_display_name("third")
    broken = fail().set_display_name("broken")
    done().after(broken).set_display_name("fourth")
