"""Lists of artifacts: of a loop, of nested loops in one row, of one; in a container's text and in Python."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input
from parts import write


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def texts(parts: Input[list[Artifact]]) -> str:
    return "+".join(open(part.path).read() for part in parts or []) or "nothing"


@dsl.container_component
def names(parts: Input[list[Dataset]], out: dsl.OutputPath(list)):
    program = (
        "import json, sys; parts = json.loads(sys.argv[1]);"
        "json.dump([[p['type']['schemaTitle'], open(p['uri']).read()] for p in parts], open(sys.argv[2], 'w'))"
    )
    return dsl.ContainerSpec(image="x", command=["python3", "-S", "-c", program], args=[parts, out])


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def nested(parts: Input[list[Artifact]]) -> str:
    return "+".join(open(part.path).read() for part in parts)


@dsl.pipeline(name="lists")
def pipeline(words: list = ["a", "b"]) -> str:
    with dsl.ParallelFor(words) as word:
        each = write(text=word)
    names(parts=dsl.Collected(each.outputs["data"]))
    with dsl.ParallelFor(["x", "y"]):
        with dsl.ParallelFor(["1", "2"]) as inner:
            deep = write(text=inner)
    nested(parts=dsl.Collected(deep.outputs["data"]))
    return texts(parts=dsl.Collected(each.outputs["data"])).output
