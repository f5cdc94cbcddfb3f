"""OneOf takes the artifact of the branch that ran, in a pipeline and out of one inside."""

from kfp import dsl
from kfp.dsl import Artifact
from parts import read, write


@dsl.pipeline(name="chooses")
def chooses(flag: bool) -> Artifact:
    with dsl.If(flag == True):
        yes = write(text="yes").set_display_name("yes")
    with dsl.Else():
        no = write(text="no").set_display_name("no")
    return dsl.OneOf(yes.outputs["data"], no.outputs["data"])


@dsl.pipeline(name="one-of")
def pipeline(flag: bool = True) -> Artifact:
    chosen = chooses(flag=flag)
    with dsl.If(flag == True):
        ours = write(text="ours").set_display_name("ours")
    with dsl.Else():
        theirs = write(text="theirs").set_display_name("theirs")
    one = dsl.OneOf(ours.outputs["data"], theirs.outputs["data"])
    read(data=one).set_display_name("read here")
    read(data=chosen.output).set_display_name("read")
    return one
