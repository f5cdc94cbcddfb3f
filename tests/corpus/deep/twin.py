"""The pipeline `deep` in the KFP DSL."""

from typing import List, NamedTuple

from in_kfp import fit, gather, load, measure, merge, say
from kfp import dsl, kubernetes
from kfp.dsl import Dataset, Input, Model


def ours(task):
    return kubernetes.add_pod_label(task, "project", "demo")


@dsl.pipeline(name="inner")
def inner(data: Input[Dataset], target: str, rate: float) -> NamedTuple("Outputs", model=Model, label=str):
    fitted = ours(fit(data=data, target=target, rate=rate).set_env_variable("LEVEL", "info"))
    measured = ours(measure(model=fitted.outputs["model"], data=data))
    return NamedTuple("Outputs", model=Model, label=str)(fitted.outputs["model"], measured.outputs["label"])


@dsl.pipeline(name="deep")
def pipeline(
    source: str = "s3://b/x.csv", names: List[str] = ["a", "b"], flag: bool = True, rate: float = 0.1
) -> NamedTuple("Outputs", labels=list):
    loaded = ours(load(source=dsl.importer(artifact_uri=source, artifact_class=Dataset).output))
    with dsl.ParallelFor(names, parallelism=3) as item:
        each = inner(data=loaded.outputs["train"], target=item, rate=rate)
    merged = ours(merge(models=dsl.Collected(each.outputs["model"])))
    gathered = ours(gather(items=dsl.Collected(each.outputs["label"])))
    with dsl.ParallelFor(["x", "y"]) as item:
        with dsl.If(item == "x"):
            ours(say(text=item))
    with dsl.If(flag == True):
        with dsl.ParallelFor(["x", "y"]) as item:
            ours(say(text=item))
    with dsl.If(gathered.outputs["total"] >= 2):
        ours(measure(model=merged.outputs["model"], data=loaded.outputs["test"]))
    return NamedTuple("Outputs", labels=list)(dsl.Collected(each.outputs["label"]))
