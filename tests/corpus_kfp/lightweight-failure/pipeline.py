"""A lightweight component that raises: the run fails, with the exception as its reason."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def raises() -> str:
    raise ValueError("it is broken")


@dsl.pipeline(name="raises")
def pipeline() -> str:
    return raises().output
