"""OneOf of an artifact and of a parameter as the outputs of pipelines inside."""

from kfp import dsl
from kfp.dsl import Artifact
from parts import read, say, write


@dsl.pipeline(name="artifact")
def artifact(flag: bool) -> Artifact:
    with dsl.If(flag == True):
        yes = write(text="yes").set_display_name("yes")
    with dsl.Else():
        no = write(text="no").set_display_name("no")
    return dsl.OneOf(yes.outputs["data"], no.outputs["data"])


@dsl.pipeline(name="outer")
def pipeline(flag: bool = True) -> str:
    chosen = artifact(flag=flag)
    copied = read(data=chosen.output)
    return say(text=copied.outputs["out"]).outputs["out"]
