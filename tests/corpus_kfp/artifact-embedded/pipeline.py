"""Files embedded in a component: a folder, of which modules are imported, and one file."""

from pathlib import Path

from kfp import dsl
from kfp.dsl import Artifact, Dataset

HERE = Path(__file__).parent


@dsl.component(base_image="python:3.11", install_kfp_package=False, embedded_artifact_path=str(HERE / "assets"))
def of_folder(assets: dsl.EmbeddedInput[Artifact], times: int = 2) -> str:
    from embedded_greeting import greet

    with open(assets.path + "/name.txt") as stream:
        return greet(stream.read().strip()) * times


@dsl.component(
    base_image="python:3.11", install_kfp_package=False, embedded_artifact_path=str(HERE / "assets/name.txt")
)
def of_file(name: dsl.EmbeddedInput[Dataset]) -> str:
    with open(name.path) as stream:
        return stream.read().strip()


@dsl.pipeline(name="embedded")
def pipeline() -> str:
    of_file()
    return of_folder().output
