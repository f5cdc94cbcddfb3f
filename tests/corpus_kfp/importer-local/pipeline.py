"""Importers of files and a folder that lie here: by constant, argument, text of both; metadata with placeholders."""

from kfp import dsl
from kfp.dsl import Dataset, Input
from parts import read, say


@dsl.container_component
def about(data: Input[Dataset], out: dsl.OutputPath(dict)):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf %s "$0" > "$1"'], args=[data.metadata, out])


@dsl.container_component
def inside(data: Input[Dataset], out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="x", command=["sh", "-c", 'cat "$0"/a.txt "$0"/b.txt | tr -d "\\n" > "$1"'], args=[data.path, out]
    )


@dsl.pipeline(name="importer-local")
def pipeline(name: str = "one", ending: str = "txt", rows: int = 3) -> dict:
    constant = dsl.importer(artifact_uri="data/one.txt", artifact_class=Dataset)
    read(data=constant.output)
    argued = dsl.importer(artifact_uri=ending, artifact_class=Dataset)
    argued.set_display_name("argued")
    made = say(text=f"data/{name}.txt")
    produced = dsl.importer(artifact_uri=made.outputs["out"], artifact_class=Dataset)
    read(data=produced.output)
    text = dsl.importer(
        artifact_uri=f"data/{name}.txt",
        artifact_class=Dataset,
        metadata={
            "rows": rows,
            "deep": {"names": [name, f"<{name}>"], "count": 2, "half": 0.5},
            name: True,
            "run": "{{$.pipeline_name}}",
        },
    )
    folder = dsl.importer(artifact_uri="data", artifact_class=Dataset, reimport=True)
    inside(data=folder.output)
    return about(data=text.output).outputs["out"]
