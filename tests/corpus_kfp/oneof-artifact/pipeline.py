"""OneOf takes the artifact of the branch that ran."""

from kfp import dsl
from kfp.dsl import Artifact
from parts import read, write


@dsl.pipeline(name="one-of")
def pipeline(flag: bool = True) -> Artifact:
    with dsl.If(flag == True):
        ours = write(text="ours").set_display_name("ours")
    with dsl.Else():
        theirs = write(text="theirs").set_display_name("theirs")
    one = dsl.OneOf(ours.outputs["data"], theirs.outputs["data"])
    read(data=one)
    return one
