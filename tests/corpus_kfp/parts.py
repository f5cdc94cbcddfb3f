"""Components the cases share. Most are a shell's one line in a container: they start in milliseconds.

The lightweight ones leave the SDK's own installation out (`install_kfp_package=False`), so that nothing asks for a
network, here and in `kfp.local`.
"""

import warnings

from kfp import dsl
from kfp.dsl import Artifact, Input, Output

warnings.filterwarnings("ignore")

WRITE = 'printf %s "$0" > "$1"'


@dsl.container_component
def say(text: str, out: dsl.OutputPath(str)):
    """Text."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[text, out])


@dsl.container_component
def count(value: int, out: dsl.OutputPath(int)):
    """A whole number."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[value, out])


@dsl.container_component
def number(value: float, out: dsl.OutputPath(float)):
    """A number."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[value, out])


@dsl.container_component
def truth(value: bool, out: dsl.OutputPath(bool)):
    """True or false."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[value, out])


@dsl.container_component
def rows(value: list, out: dsl.OutputPath(list)):
    """A list."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[value, out])


@dsl.container_component
def table(value: dict, out: dsl.OutputPath(dict)):
    """A mapping."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[value, out])


@dsl.container_component
def plus(a: int, b: int, out: dsl.OutputPath(int)):
    """The sum."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'echo $(($0 + $1)) > "$2"'], args=[a, b, out])


@dsl.container_component
def spoken(out: dsl.OutputPath(str), text: str = "silence"):
    """Text, or the component's own default."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[text, out])


@dsl.container_component
def done():
    """Nothing."""
    return dsl.ContainerSpec(image="x", command=["true"])


@dsl.container_component
def nap():
    """A while."""
    return dsl.ContainerSpec(image="x", command=["sleep", "0.15"])


@dsl.container_component
def fail(out: dsl.OutputPath(str), text: str = "broken"):
    """Always fails, and says what it was given."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'echo "error: $0"; exit 3'], args=[text])


@dsl.container_component
def write(text: str, data: Output[Artifact]):
    """An artifact that holds the text."""
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[text, data.path])


@dsl.container_component
def read(data: Input[Artifact], out: dsl.OutputPath(str)):
    """The text an artifact holds."""
    return dsl.ContainerSpec(image="x", command=["cp"], args=[data.path, out])


@dsl.container_component
def told(status: dsl.PipelineTaskFinalStatus, out: dsl.OutputPath(dict)):
    """The final status it was given."""
    status_text = "{{$.inputs.parameters['status']}}"
    return dsl.ContainerSpec(image="x", command=["sh", "-c", WRITE], args=[status_text, out])
