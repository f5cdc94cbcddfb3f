"""The pipeline `conditions` in the KFP DSL."""

from in_kfp import fit, load, measure, say
from kfp import dsl
from kfp.dsl import Dataset


@dsl.pipeline(name="conditions")
def pipeline(whole: int = 3, limit: float = 0.5, word: str = "x", flag: bool = True):
    loaded = load(source=dsl.importer(artifact_uri="s3://b/x.csv", artifact_class=Dataset).output)
    fitted = fit(data=loaded.outputs["train"], target="a").set_env_variable("LEVEL", "info")
    measured = measure(model=fitted.outputs["model"], data=loaded.outputs["test"])
    with dsl.If(measured.outputs["count"] > 0.5):
        say(text="a")
    with dsl.If(measured.outputs["f1"] >= 1):
        say(text="a")
    with dsl.If(measured.outputs["good"] == True):
        say(text="a")
    with dsl.If(measured.outputs["label"] != "no"):
        say(text="a")
    with dsl.If(measured.outputs["count"] < whole):
        say(text="a")
    with dsl.If(measured.outputs["count"] <= limit):
        say(text="a")
    with dsl.If(flag == False):
        say(text=word)
    with dsl.If(loaded.outputs["rows"] == 3):
        say(text=measured.outputs["label"])
