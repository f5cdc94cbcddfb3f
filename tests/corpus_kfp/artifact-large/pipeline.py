"""Artifacts that take a while to write and to keep: a large file, and a folder of many; twice the same, and read."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.container_component
def make(data: Output[Artifact], folder: Output[Artifact], letter: str = "a"):
    program = (
        'yes "$2" | head -c 12000000 > "$0"; mkdir -p "$1/deep/er"; '
        'for n in $(seq 150); do echo "$2$n" > "$1/deep/$n"; echo "$n" > "$1/deep/er/$n"; done'
    )
    return dsl.ContainerSpec(image="x", command=["sh", "-c", program], args=[data.path, folder.path, letter])


@dsl.container_component
def measure(data: Input[Artifact], folder: Input[Artifact], out: dsl.OutputPath(str)):
    program = 'echo $(wc -c < "$0") $(cat "$1"/deep/* "$1"/deep/er/* 2>/dev/null | wc -c) | tr -d "\\n" > "$2"'
    return dsl.ContainerSpec(image="x", command=["sh", "-c", program], args=[data.path, folder.path, out])


@dsl.pipeline(name="artifact-large")
def pipeline() -> str:
    made = make()
    make(letter="b")
    make()
    return measure(data=made.outputs["data"], folder=made.outputs["folder"]).outputs["out"]
