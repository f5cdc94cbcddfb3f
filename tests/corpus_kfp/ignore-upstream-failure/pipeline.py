"""A task that ignores what failed before it runs, and takes its own default for what was not produced."""

from kfp import dsl
from parts import done, fail, say, spoken


@dsl.pipeline(name="ignoring")
def pipeline():
    broken = fail()
    spoken(text=broken.outputs["out"]).ignore_upstream_failure().set_display_name("default")
    done().after(broken).ignore_upstream_failure().set_display_name("after")
    with dsl.If(broken.outputs["out"] == "x"):
        say(text="x").set_display_name("in condition")
