"""If, Elif and Else, nested, over outputs and parameters; afterwards the output of the branch that ran."""

from kfp import dsl
from parts import count, done, say


@dsl.pipeline(name="branches")
def pipeline(n: int = 1, deep: bool = True) -> str:
    counted = count(value=n).outputs["out"]
    with dsl.If(counted == 1):
        one = say(text="one").set_display_name("one")
        with dsl.If(deep == True):
            done().set_display_name("deep")
        with dsl.Else():
            done().set_display_name("shallow")
    with dsl.Elif(counted == 2):
        two = say(text="two").set_display_name("two")
    with dsl.Elif(counted < 0):
        less = say(text="less").set_display_name("less")
    with dsl.Else():
        more = say(text="more").set_display_name("more")
    chosen = dsl.OneOf(one.outputs["out"], two.outputs["out"], less.outputs["out"], more.outputs["out"])
    say(text=chosen).set_display_name("chosen")
    return chosen
