"""Optional inputs: given, left out; from the pipeline's own optional parameters, through groups; with defaults."""

from typing import Optional

from kfp import dsl
from parts import done, spoken


@dsl.container_component
def maybe(out: dsl.OutputPath(str), text: Optional[str] = None, number: Optional[int] = None):
    return dsl.ContainerSpec(
        image="x",
        command=["sh", "-c", 'printf "%s" "$*" > "$0"'],
        args=[
            out,
            dsl.IfPresentPlaceholder(input_name="text", then=["text", text], else_=["no text"]),
            dsl.IfPresentPlaceholder(input_name="number", then=["number", number]),
        ],
    )


@dsl.pipeline(name="inner")
def inner(text: Optional[str] = None) -> str:
    return maybe(text=text).outputs["out"]


@dsl.pipeline(name="optional")
def pipeline(text: Optional[str] = None, number: Optional[int] = None, word: str = "default", flag: bool = True) -> str:
    maybe().set_display_name("left out")
    maybe(text=text, number=number).set_display_name("passed")
    spoken(text=text).set_display_name("own default")
    spoken(text=word).set_display_name("default of the pipeline")
    with dsl.If(flag == True):
        maybe(text=text, number=number).set_display_name("in a group")
    with dsl.If(text == "given"):
        done().set_display_name("condition")
    with dsl.ParallelFor(["a"]) as item:
        maybe(text=text).set_display_name("in a loop")
        spoken(text=item)
    return inner(text=text).output
