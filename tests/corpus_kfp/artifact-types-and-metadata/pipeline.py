"""Every type of artifact, its metadata there and back, and artifacts that are metadata and nothing else."""

from kfp import dsl
from kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    SlicedClassificationMetrics,
)


class VertexModel(Artifact):
    schema_title = "google.VertexModel"
    schema_version = "0.0.1"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def make(
    plain: Output[Artifact],
    data: Output[Dataset],
    model: Output[Model],
    metrics: Output[Metrics],
    curve: Output[ClassificationMetrics],
    sliced: Output[SlicedClassificationMetrics],
    page: Output[HTML],
    text: Output[Markdown],
):
    for each in (plain, data, model, page, text):
        with open(each.path, "w") as stream:
            stream.write(each.name)
    model.framework = "own"
    model.metadata["layers"] = [1, 2.5, {"deep": None}]
    data.metadata.update(rows=3, share=0.25, ok=True, note='it\'s "ä"')
    metrics.log_metric("f1", 0.5)
    curve.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def see(
    data: Input[Dataset], model: Input[Model], metrics: Input[Metrics], curve: Input[ClassificationMetrics]
) -> dict:
    return {
        "data": data.metadata,
        "model": [model.framework, model.metadata["layers"], type(model).__name__],
        "metrics": metrics.metadata,
        "curve": curve.metadata["confusionMatrix"]["rows"],
    }


@dsl.container_component
def give(model: Output[VertexModel]):
    program = 'mkdir "$0"; printf m > "$0/weights"; printf %s "$1" | grep -o google.VertexModel > "$0/type"'
    return dsl.ContainerSpec(image="x", command=["sh", "-c", program], args=[model.path, "{{$}}"])


@dsl.container_component
def take(model: Input[VertexModel], out: dsl.OutputPath(str)):
    program = 'cat "$0/type" "$0/weights" | tr "\\n" " " > "$1"'
    return dsl.ContainerSpec(image="x", command=["sh", "-c", program], args=[model.path, out])


@dsl.pipeline(name="types")
def pipeline() -> dict:
    made = make()
    take(model=give().outputs["model"])
    return see(
        data=made.outputs["data"],
        model=made.outputs["model"],
        metrics=made.outputs["metrics"],
        curve=made.outputs["curve"],
    ).output
