"""The artifacts of a loop, collected into a list: of one loop, of loops in loops (in one row), of those that ran."""

from typing import List

from kfp import dsl
from kfp.dsl import Artifact, Input
from parts import read, say, write


@dsl.container_component
def join(listed: Input[List[Artifact]], out: dsl.OutputPath(str)):
    """The texts of all artifacts, through the executor input."""
    code = (
        "import json, sys; told = json.loads(sys.argv[1]);"
        "listed = told['inputs']['artifacts']['listed']['artifacts'];"
        "open(sys.argv[2], 'w').write('+'.join(open(each['uri']).read() for each in listed))"
    )
    return dsl.ContainerSpec(image="x", command=["python", "-S", "-c", code], args=["{{$}}", out])


@dsl.pipeline(name="loop-artifacts")
def pipeline(words: List[str] = ["a", "b", "c"]) -> List[Artifact]:
    with dsl.ParallelFor(words) as word:
        made = write(text=word)
        with dsl.If(word != "b"):
            some = write(text=word).set_display_name("some")
        read(data=made.outputs["data"])
        with dsl.ParallelFor(["1", "2"]) as digit:
            cell = write(text=f"{word}{digit}").set_display_name("cell")
    join(listed=dsl.Collected(made.outputs["data"])).set_display_name("all")
    join(listed=dsl.Collected(some.outputs["data"])).set_display_name("those that ran")
    last = join(listed=dsl.Collected(cell.outputs["data"])).set_display_name("cells")
    say(text=last.outputs["out"])
    return dsl.Collected(made.outputs["data"])
