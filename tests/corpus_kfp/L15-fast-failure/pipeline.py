"""A program that fails at once has failed: by exit code, by a signal, by not being there, by writing nothing."""

from kfp import dsl


@dsl.container_component
def code():
    return dsl.ContainerSpec(image="x", command=["false"])


@dsl.container_component
def killed():
    return dsl.ContainerSpec(image="x", command=["sh", "-c", "kill -9 $$"])


@dsl.container_component
def missing():
    return dsl.ContainerSpec(image="x", command=["there-is-no-such-program"])


@dsl.container_component
def silent(out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="x", command=["true"], args=[out])


@dsl.pipeline(name="fast-failure")
def pipeline():
    code()
    killed()
    missing()
    silent()
