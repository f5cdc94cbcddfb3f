"""The pipeline `text` in the KFP DSL."""

from in_kfp import say
from kfp import dsl


@dsl.pipeline(name="text")
def pipeline(word: str = "hello", number: int = 3):
    said = say(text=f"it's {word}, {number} times")
    out = said.outputs["out"]
    say(text=f"{out} and {out}", items=[1, f"{word}", {"deep": [f"<{out}>"], "flag": True}])
    say(text=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
    with dsl.If(out != ""):
        say(text=f"{word}!")
