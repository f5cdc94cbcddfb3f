"""The pipeline `finally` in the KFP DSL."""

from in_kfp import say, tell
from kfp import dsl


@dsl.pipeline(name="finally")
def pipeline(word: str = "hello"):
    with dsl.ExitHandler(tell(text=word)):
        said = say(text=word)
        with dsl.If(said.outputs["out"] == "x"):
            say(text=said.outputs["out"])
