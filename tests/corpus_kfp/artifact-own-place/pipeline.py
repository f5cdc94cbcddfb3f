"""Artifacts that are not where they were asked to be: a path or a URI the component chose itself, or `dsl.get_uri`."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def choose(custom: Output[Model], relative: Output[Artifact], renamed: Output[Dataset], moved: Output[Dataset]):
    import os
    import tempfile

    custom.custom_path = os.path.join(tempfile.mkdtemp(), "weights.bin")
    relative.set_path("here/there.txt")
    os.mkdir("here")
    renamed.path = renamed.path + ".csv"
    moved.uri = dsl.get_uri("elsewhere")
    for each in (custom, relative, renamed, moved):
        each.metadata["of"] = each.name
        with open(each.path, "w") as stream:
            stream.write(each.name)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def given() -> Dataset:
    made = Dataset(uri=dsl.get_uri(), metadata={"rows": 2})
    with open(made.path, "w") as stream:
        stream.write("given")
    return made


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def through(data: Input[Dataset]) -> Dataset:
    return data


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def see(
    custom: Input[Model],
    relative: Input[Artifact],
    renamed: Input[Dataset],
    moved: Input[Dataset],
    last: Input[Dataset],
) -> list:
    import os

    return [
        [os.path.splitext(each.path)[1], open(each.path).read(), each.metadata]
        for each in (custom, relative, renamed, moved, last)
    ]


@dsl.pipeline(name="own-place")
def pipeline() -> list:
    made = choose()
    last = through(data=given().output)
    return see(
        custom=made.outputs["custom"],
        relative=made.outputs["relative"],
        renamed=made.outputs["renamed"],
        moved=made.outputs["moved"],
        last=last.output,
    ).output
