"""A condition on an output that has a name."""

from kfp import dsl
from parts import say


@dsl.container_component
def evaluate(f1: dsl.OutputPath(float), word: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'echo 0.93 > "$0"; printf fine > "$1"'], args=[f1, word])


@dsl.pipeline(name="named-output")
def pipeline(limit: float = 0.85):
    measured = evaluate()
    with dsl.If(measured.outputs["f1"] > limit):
        say(text="good").set_display_name("good")
    with dsl.If(measured.outputs["f1"] > 0.95):
        say(text="best").set_display_name("best")
    with dsl.If(measured.outputs["word"] == "fine"):
        say(text="fine").set_display_name("fine")
