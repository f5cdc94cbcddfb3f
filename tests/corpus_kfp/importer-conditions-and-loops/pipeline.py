"""An importer that a condition decides on, which a KFP server refuses to compile; and one in a loop."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input
from parts import read, say


@dsl.container_component
def joined(parts: Input[list[Artifact]], out: dsl.OutputPath(str)):
    program = (
        "import json, sys; texts = [open(part['uri']).read() for part in json.loads(sys.argv[1])];"
        "open(sys.argv[2], 'w').write(''.join(texts))"
    )
    return dsl.ContainerSpec(image="x", command=["python3", "-S", "-c", program], args=[parts, out])


@dsl.pipeline(name="importer-conditions-and-loops")
def pipeline(which: str = "a.txt") -> str:
    with dsl.If(say(text=which).outputs["out"] == "a.txt"):
        chosen = dsl.importer(artifact_uri=which, artifact_class=Dataset)
        read(data=chosen.output)
    with dsl.ParallelFor(["a.txt", "b.txt", "a.txt"]) as name:
        each = dsl.importer(artifact_uri=name, artifact_class=Dataset)
    return joined(parts=dsl.Collected(each.output)).outputs["out"]
