"""Tasks that do not depend on each other run side by side."""

from kfp import dsl
from parts import nap


@dsl.pipeline(name="independent")
def pipeline():
    for name in "abc":
        nap().set_display_name(name)
