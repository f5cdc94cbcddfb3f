"""Pipelines compiled by the KFP SDK whose tasks are a line of Python each, so that nothing but Python has to start."""

from collections.abc import Callable
from pathlib import Path

import yaml
from kfp import compiler, dsl

from tests.runners.conftest import PRELUDE


@dsl.container_component
def _program(code: str, text: str, out: dsl.OutputPath(str)):  # type: ignore[valid-type]
    """A line of Python; what it puts into `out` is its output."""
    return dsl.ContainerSpec(image="x", command=["python", "-S", "-c"], args=[code, "--text", text, "--out", out])


def program(code: str, text: object = "") -> dsl.PipelineTask:
    """A task that runs a line of Python."""
    return _program(code=PRELUDE + code, text=text)


def compiled(file: Path, build: Callable[..., object], config: dict[str, object] | None = None) -> Path:
    """A pipeline function compiled; `config` is what newer SDKs write for a PipelineConfig."""
    compiler.Compiler().compile(dsl.pipeline(name="demo")(build), str(file))
    if config:
        documents = list(yaml.safe_load_all(file.read_text()))
        documents += [{}] if len(documents) == 1 else []
        documents[1].setdefault("platforms", {}).setdefault("kubernetes", {})["pipelineConfig"] = config
        file.write_text(yaml.safe_dump_all(documents))
    return file
