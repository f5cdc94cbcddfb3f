"""The JSON Schemas say yes to every file we read, and no to what we refuse for its shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator import source
from orchestrator.pipeline import find, schema

TESTS = Path(__file__).parent.parent
PIPELINES = [*TESTS.glob("corpus/*/*.yaml"), *TESTS.parent.glob("pipelines/*/pipeline.yaml")]
PIPELINES = sorted(path for path in PIPELINES if "kind: Pipeline" in path.read_text(encoding="utf-8"))
COMPONENTS = sorted([*TESTS.glob("corpus/components/*/component.yaml"), *find.BUILT_IN.glob("*/component.yaml")])
BROKEN = ["unknown-key", "missing-key", "wrong-kind", "no-tasks", "bad-name"]


def valid(data: Any, kind: str) -> bool:
    return bool(jsonschema.Draft202012Validator(schema.FILES[kind]()).is_valid(data))


@pytest.mark.parametrize("kind", schema.FILES)
def test_is_a_schema_of_its_dialect(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.FILES[kind]())


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_takes_every_pipeline(path: Path) -> None:
    jsonschema.Draft202012Validator(schema.pipeline()).validate(source.read(path).data)


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
def test_takes_every_component(path: Path) -> None:
    jsonschema.Draft202012Validator(schema.component()).validate(source.read(path).data)


@pytest.mark.parametrize("name", BROKEN)
def test_refuses_broken_pipelines(name: str) -> None:
    assert not valid(source.read(TESTS / "errors" / f"{name}.yaml").data, "pipeline")


def test_refuses_broken_components() -> None:
    assert not valid(source.read(TESTS / "errors" / "parts" / "broken-component.yaml").data, "component")


def test_knows_the_shorthands() -> None:
    task = {"component": "x", "retry": 3, "cache": False, "resources": {"cpu": 2, "memory": "2Gi"}, "timeout": "3m"}
    document = {"apiVersion": "orchestrator/v1", "kind": "Pipeline", "metadata": {"name": "x"}}
    document |= {"parameters": {"a": 3, "b": [1], "c": {"type": "Dataset"}}, "tasks": {"a": task}}
    assert valid(document, "pipeline")
    for wrong in ({"retry": "often"}, {"cache": 3.5}, {"resources": {"cpu": [1]}}, {"timeout": [1]}):
        assert not valid(document | {"tasks": {"a": task | wrong}}, "pipeline"), wrong
