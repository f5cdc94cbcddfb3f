"""What is downloaded to the workspace is a copy that tasks may change, beside what they write there themselves."""

from kfp import dsl
from kfp.dsl import Dataset, Input
from parts import read


@dsl.container_component
def append(data: Input[Dataset], place: str, out: dsl.OutputPath(str)):
    """Changes the copy, once however often it is started, and says whether it is in the workspace."""
    program = (
        'case "$(cat "$0")" in *more) ;; *) printf " more" >> "$0";; esac; cp "$0" "$1/kept";'
        'case "$0" in "$1"/*) printf inside;; *) printf outside;; esac > "$2"'
    )
    return dsl.ContainerSpec(image="x", command=["sh", "-c", program], args=[data.path, place, out])


@dsl.container_component
def kept(place: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'cat "$0" /kfp-workspace/kept > "$1"'], args=[place, out])


@dsl.pipeline(
    name="importer-to-workspace",
    pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")),
)
def pipeline(uri: str = "a.txt") -> str:
    shared = dsl.importer(artifact_uri=uri, artifact_class=Dataset, download_to_workspace=True)
    changed = append(data=shared.output, place=dsl.WORKSPACE_PATH_PLACEHOLDER)
    plain = dsl.importer(artifact_uri=uri, artifact_class=Dataset)
    read(data=plain.output).after(changed)
    return kept(place=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/kept").after(changed).outputs["out"]
