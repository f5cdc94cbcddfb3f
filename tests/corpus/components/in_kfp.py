"""The components of the corpus as the KFP DSL writes them; twins import them from here."""

from typing import List

from kfp import dsl
from kfp.dsl import Dataset, IfPresentPlaceholder, Input, Metrics, Model, Output, OutputPath, PipelineTaskFinalStatus


@dsl.container_component
def load(
    source: Input[Dataset],
    train: Output[Dataset],
    test: Output[Dataset],
    rows: OutputPath(int),
    key: list = [],
    seed: int = None,
):
    seeded = IfPresentPlaceholder(input_name="seed", then=["--seed", seed])
    args = ["--key", key, seeded, "--source", source.path]
    args += ["--rows", rows, "--test", test.path, "--train", train.path]
    return dsl.ContainerSpec(image="example/load", command=["python", "-m", "load"], args=args)


@dsl.container_component
def fit(
    data: Input[Dataset],
    target: str,
    model: Output[Model],
    rate: float = 0.1,
    options: dict = {},
    base: Input[Model] = None,
):
    based = IfPresentPlaceholder(input_name="base", then=["--base", base.path])
    args = [based, "--data", data.path, "--options", options, "--rate", rate, "--target", target]
    args += ["--model", model.path, "--executor_input", "{{$}}"]
    return dsl.ContainerSpec(image="example/fit", command=["python", "-m", "fit"], args=args)


@dsl.container_component
def measure(
    model: Input[Model],
    data: Input[Dataset],
    metrics: Output[Metrics],
    f1: OutputPath(float),
    count: OutputPath(int),
    good: OutputPath(bool),
    label: OutputPath(str),
):
    args = ["--data", data.path, "--model", model.path, "--count", count, "--f1", f1]
    args += ["--good", good, "--label", label, "--metrics", metrics.path]
    return dsl.ContainerSpec(image="example/measure", command=["python", "-m", "measure"], args=args)


@dsl.container_component
def say(text: str, out: OutputPath(str), items: list = [1]):
    return dsl.ContainerSpec(
        image="example/say", command=["say"], args=["--items", items, "--text", text, "--out", out]
    )


@dsl.container_component
def split(text: str, parts: OutputPath(list)):
    return dsl.ContainerSpec(image="example/split", command=["split"], args=["--text", text, "--parts", parts])


@dsl.container_component
def gather(items: list, total: OutputPath(int)):
    return dsl.ContainerSpec(image="example/gather", command=["gather"], args=["--items", items, "--total", total])


@dsl.container_component
def merge(models: Input[List[Model]], model: Output[Model]):
    args = ["--models", "{{$.inputs.artifacts['models'].path}}", "--model", model.path]
    args += ["--executor_input", "{{$}}"]
    return dsl.ContainerSpec(image="example/merge", command=["merge"], args=args)


@dsl.container_component
def tell(status: PipelineTaskFinalStatus, text: str = None):
    told = IfPresentPlaceholder(input_name="text", then=["--text", text])
    return dsl.ContainerSpec(image="example/tell", command=["tell"], args=["--status", status, told])


@dsl.container_component
def need(text: str):
    return dsl.ContainerSpec(image="example/need", command=["need"], args=["--text", text])
