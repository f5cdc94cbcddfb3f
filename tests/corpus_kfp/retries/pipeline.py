"""Attempts until one succeeds or none is left, with a pause that grows; of a task, of a pipeline inside, in a loop."""

from kfp import dsl
from parts import done, fail


@dsl.container_component
def second_time(folder: str):
    return dsl.ContainerSpec(
        image="x",
        command=["sh", "-c", 'mkdir -p "$0"; test -e "$0/once" || { touch "$0/once"; exit 7; }'],
        args=[f"{{{{$.pipeline_root}}}}/{folder}"],
    )


@dsl.pipeline(name="inside")
def inside():
    done().set_display_name("before")
    second_time(folder="inside").set_display_name("flaky inside")


@dsl.pipeline(name="retries")
def pipeline():
    second_time(folder="task").set_retry(3, "0s").set_display_name("flaky")
    fail().set_retry(2, "0s", 2.0, "1s").set_display_name("broken")
    inside().set_retry(1, "0s")
    with dsl.ParallelFor(["a", "b"]) as item:
        second_time(folder=item).set_retry(1, "0s").set_display_name("each")
    done().set_retry(5).set_display_name("needs none")
