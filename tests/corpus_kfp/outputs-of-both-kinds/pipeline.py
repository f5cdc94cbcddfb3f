"""What executor_output.json says goes before what is in a parameter's file; text is raw there, true is True as well."""

from kfp import dsl

PROGRAM = """
import json, sys
told, text, other, yes, no, whole, half = sys.argv[1:]
texts = {text: ' "raw"\\n', other: "in the file", yes: "True", no: " false\\n", whole: "3.0", half: "3"}
for file, content in texts.items():
    open(file, "w").write(content)
json.dump({"parameterValues": {"other": "told"}}, open(told, "w"))
"""


@dsl.container_component
def give(
    text: dsl.OutputPath(str),
    other: dsl.OutputPath(str),
    yes: dsl.OutputPath(bool),
    no: dsl.OutputPath(bool),
    whole: dsl.OutputPath(int),
    half: dsl.OutputPath(float),
):
    return dsl.ContainerSpec(
        image="x",
        command=["python3", "-S", "-c", PROGRAM],
        args=[dsl.PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER, text, other, yes, no, whole, half],
    )


@dsl.pipeline(name="both")
def pipeline() -> None:
    give()
