"""The files of this machine that a pipeline names: found wherever they are written, and nothing else is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ir
from orchestrator.runs import files, load

ROOT = Path(__file__).resolve().parents[2]
COMPILED = sorted(ROOT.glob("tests/corpus/*/pipeline.ir.yaml"))


@pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.parent.name)
def test_a_pipeline_with_its_own_names_is_itself(case: Path) -> None:
    pipeline, _ = ir.read(case)
    assert ir.to_data(files.renamed(pipeline, {}, lambda written: written)[0]) == ir.to_data(pipeline)


def test_the_penguins_name_three_files() -> None:
    pipeline = load(ROOT / "pipelines" / "penguins" / "pipeline.yaml").pipeline
    assert set(files.named(pipeline, {})) == {"data/penguins.csv", "schema.yaml", "endpoint.yaml"}
    given = {"source": "/elsewhere/birds.csv", "min_f1": 0.9}
    assert "/elsewhere/birds.csv" in files.named(pipeline, given)
    renamed, arguments = files.renamed(pipeline, given, lambda written: f"s3://bucket/{Path(written).name}")
    assert arguments == {"source": "s3://bucket/birds.csv", "min_f1": 0.9}
    assert files.named(renamed, arguments) == ()
    text = ir.dump(renamed)
    assert [f"s3://bucket/{name}" in text for name in ("penguins.csv", "schema.yaml", "endpoint.yaml")] == [True] * 3


def _importer(uri: Any) -> dict[str, Any]:
    return {"importer": {"artifactUri": uri, "typeSchema": {"schemaTitle": "system.Dataset"}}}


def _spec(root: dict[str, Any], components: dict[str, Any], executors: dict[str, Any]) -> Any:
    data = {
        "pipelineInfo": {"name": "p"},
        "schemaVersion": "2.1.0",
        "root": root,
        "components": components,
        "deploymentSpec": {"executors": executors},
    }
    return ir.load(json.dumps(data))[0]


LOAD = {
    "executorLabel": "exec-load",
    "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING", "defaultValue": "usual.csv"}}},
    "outputDefinitions": {"artifacts": {"artifact": {"artifactType": {"schemaTitle": "system.Dataset"}}}},
}
EXECUTORS = {"exec-load": _importer({"runtimeParameter": "uri"})}


def _task(component: str, **parameters: Any) -> dict[str, Any]:
    return {"componentRef": {"name": component}, "inputs": {"parameters": parameters}}


def test_through_pipelines_in_pipelines_and_loops() -> None:
    text = {"parameterType": "STRING"}
    loop = {
        **_task("comp-inner", each={"componentInputParameter": "item"}),
        "parameterIterator": {"itemInput": "item", "items": {"raw": '["a.csv", "s3://b/b.csv", "c.csv"]'}},
    }
    given_loop = {
        **_task("comp-outer", list={"componentInputParameter": "listed"}),
        "parameterIterator": {"itemInput": "item", "items": {"inputParameter": "list"}},
    }
    inner = {
        "dag": {"tasks": {"load": _task("comp-load", uri={"componentInputParameter": "each"})}},
        "inputDefinitions": {"parameters": {"each": text}},
    }
    outer = {
        "dag": {"tasks": {"inner": {**loop, **_task("comp-inner", each={"componentInputParameter": "item"})}}},
        "inputDefinitions": {"parameters": {"item": text}},
    }
    root = {
        "dag": {
            "tasks": {
                "loop": {**loop, "componentRef": {"name": "comp-outer"}},
                "given": given_loop,
                "constant": _task("comp-inner", each={"runtimeValue": {"constant": "d.csv"}}),
                "other": _task("comp-say", text={"runtimeValue": {"constant": "not-a-file.csv"}}),
            }
        },
        "inputDefinitions": {"parameters": {"listed": {"parameterType": "LIST", "defaultValue": ["e.csv"]}}},
    }
    say = {"executorLabel": "exec-say", "inputDefinitions": {"parameters": {"text": text}}}
    pipeline = _spec(
        root,
        {"comp-load": LOAD, "comp-inner": inner, "comp-outer": outer, "comp-say": say},
        {**EXECUTORS, "exec-say": {"container": {"image": "x"}}},
    )
    assert set(files.named(pipeline, {"listed": ["f.csv", "gs://b/g.csv"]})) == {
        "a.csv", "c.csv", "d.csv", "e.csv", "f.csv", "usual.csv"
    }  # fmt: skip
    renamed, arguments = files.renamed(pipeline, {"listed": ["f.csv"]}, lambda written: f"s3://n/{written}")
    assert arguments == {"listed": ["s3://n/f.csv"]}
    assert "not-a-file.csv" in ir.dump(renamed)
    assert "s3://n/not-a-file.csv" not in ir.dump(renamed)
    raw = renamed.root.dag.tasks["loop"].parameter_iterator.items.raw  # type: ignore[union-attr]
    assert json.loads(raw) == ["s3://n/a.csv", "s3://b/b.csv", "s3://n/c.csv"]


@pytest.mark.parametrize("uri", ["s3://b/x.csv", "models:/penguins/3", "https://x/y.csv", "{{$.pipeline_root}}/x", ""])
def test_what_is_no_path_of_this_machine(uri: str) -> None:
    pipeline = _spec(
        {"dag": {"tasks": {"load": _task("comp-load", uri={"runtimeValue": {"constant": uri}})}}},
        {"comp-load": {**LOAD, "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}}}},
        EXECUTORS,
    )
    assert files.named(pipeline, {}) == ()


def test_a_component_that_holds_itself_ends() -> None:
    itself = {
        "dag": {"tasks": {"again": _task("comp-itself", uri={"componentInputParameter": "uri"})}},
        "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
    }
    root = {"dag": {"tasks": {"a": _task("comp-itself", uri={"runtimeValue": {"constant": "x.csv"}})}}}
    assert files.named(_spec(root, {"comp-itself": itself}, {}), {}) == ()
