"""Components of other formats: KFP's component files, compiled IR, and functions written with `kfp.dsl`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.errors import PipelineError
from orchestrator.pipeline import load

COMPONENTS = Path(__file__).parent.parent / "corpus" / "components"

OLD = """
name: Fill all fields
description: From KFP's documentation, more or less.
inputs:
- {name: Input 1, type: String, description: The text.}
- {name: Rows, type: Integer, default: '100'}
- {name: Table, type: Dataset}
- {name: Note, type: String, optional: true}
- {name: Anything}
outputs:
- {name: Model File, type: Model}
- {name: Score, type: Float}
implementation:
  container:
    image: example/old
    env: {MODE: fast}
    command: [sh, -c, echo]
    args:
    - --text
    - {inputValue: Input 1}
    - {concat: [rows=, {inputValue: Rows}]}
    - if:
        cond: {isPresent: Note}
        then: [--note, {inputValue: Note}]
        else: [--no-note]
    - [--table]
    - {inputPath: Table}
    - {outputPath: Model File}
    - {outputPath: Score}
"""

KFP = """
from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.container_component
def fit(data: Input[Dataset], rate: float, model: Output[Model]):
    return dsl.ContainerSpec(image="example/fit", command=["fit"], args=[data.path, rate, model.path])


@dsl.component
def double(number: int) -> int:
    return 2 * number


@dsl.pipeline(name="both")
def both(number: int = 1) -> int:
    first = double(number=number).set_cpu_limit("2")
    with dsl.If(first.output > 3):
        double(number=first.output)
    return first.output
"""

PIPELINE = """
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: mixed}
tasks:
"""


def written(folder: Path, tasks: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE + tasks, encoding="utf-8")
    return path


def container(compiled: load.Compiled, label: str) -> ir.spec.Container:
    found = compiled.spec.deployment_spec.executors[label].container
    assert found is not None
    return found


def test_reads_kfps_component_files(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(OLD.replace("    - [--table]\n", "    - --table\n"), encoding="utf-8")
    tasks = "  old:\n    component: old.yaml\n    arguments: {input_1: hello, table: s3://b/x, anything: s3://b/y}\n"
    compiled = load.pipeline(written(tmp_path, tasks))
    ran = container(compiled, "exec-fill-all-fields")
    assert ran.image == "example/old"
    assert ran.env == (ir.spec.EnvironmentVariable(name="MODE", value="fast"),)
    assert ran.args[:2] == ("--text", "{{$.inputs.parameters['input_1']}}")
    assert json.loads(ran.args[2]) == {"Concat": ["rows=", "{{$.inputs.parameters['rows']}}"]}
    then = ["--note", "{{$.inputs.parameters['note']}}"]
    assert json.loads(ran.args[3]) == {"IfPresent": {"InputName": "note", "Then": then, "Else": ["--no-note"]}}
    assert ran.args[5:] == (
        "{{$.inputs.artifacts['table'].path}}",
        "{{$.outputs.artifacts['model_file'].path}}",
        "{{$.outputs.parameters['score'].output_file}}",
    )
    inputs = compiled.spec.components["comp-fill-all-fields"].input_definitions
    assert inputs.parameters["rows"].default_value == 100
    assert inputs.parameters["note"].is_optional
    assert inputs.artifacts["anything"].artifact_type.schema_title == "system.Artifact"


def test_says_what_an_old_component_gets_wrong(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(OLD, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"\['--table'\] is not an argument"):
        load.pipeline(written(tmp_path, "  old: {component: old.yaml}\n"))
    (tmp_path / "graph.yaml").write_text("name: x\nimplementation: {graph: {}}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="only 'implementation: container:'"):
        load.pipeline(written(tmp_path, "  old: {component: graph.yaml}\n"))


def test_compiles_functions_written_with_the_dsl(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(KFP, encoding="utf-8")
    tasks = """
  fit: {component: "mine.py:fit", arguments: {data: s3://b/x.csv, rate: 0.5}}
  double: {component: "mine.py:double", arguments: {number: 2}, timeout: 1m}
  both: {component: "mine.py:both", arguments: {number: "${tasks.double.outputs.Output}"}}
  both-2: {component: "mine.py:both", arguments: {number: "${tasks.both.outputs.Output}"}}
"""
    compiled = load.pipeline(written(tmp_path, tasks))
    # A component of its own is a container of ours to configure; a pipeline stays the DAG it was, once for both tasks.
    fit = container(compiled, "exec-fit")
    assert fit.args == (
        "{{$.inputs.artifacts['data'].path}}",
        "{{$.inputs.parameters['rate']}}",
        "{{$.outputs.artifacts['model'].path}}",
    )
    kubernetes = compiled.platform.platforms.kubernetes
    assert kubernetes is not None
    assert kubernetes.deployment_spec.executors["exec-double"].active_deadline_seconds == "60"
    dag = compiled.spec.root.dag
    assert dag is not None
    assert dag.tasks["both"].component_ref == dag.tasks["both-2"].component_ref
    inner = compiled.spec.components["comp-both"].dag
    assert inner is not None
    assert {*inner.tasks} == {"double", "condition-1"}
    containers = [each.container for each in compiled.spec.deployment_spec.executors.values() if each.container]
    assert [each.resources.resource_cpu_limit for each in containers if each.resources] == ["2"]
    assert ir.load(ir.dump(compiled.spec, compiled.platform)) == (compiled.spec, compiled.platform)


def test_reads_what_the_sdk_compiled(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(KFP, encoding="utf-8")
    script = "import mine; from kfp import compiler; compiler.Compiler().compile(mine.both, 'both.yaml')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    from_ir = load.pipeline(written(tmp_path, "  a: {component: both.yaml, arguments: {number: 2}}\n"))
    from_code = load.pipeline(written(tmp_path, '  a: {component: "mine.py:both", arguments: {number: 2}}\n'))
    assert from_ir.spec == from_code.spec


def test_says_why_a_function_does_not_compile(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("print('hello')\nraise RuntimeError('not today')\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="RuntimeError: not today"):
        load.pipeline(written(tmp_path, '  a: {component: "mine.py:fit"}\n'))
    (tmp_path / "mine.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="there is no component 'fit'"):
        load.pipeline(written(tmp_path, '  a: {component: "mine.py:fit"}\n'))


def test_arguments_of_our_own_components_may_be_spelled(tmp_path: Path) -> None:
    folder = tmp_path / "components" / "mine"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(
        """
apiVersion: orchestrator/v1
kind: Component
metadata: {name: mine}
inputs: {data: Dataset, note: {type: string, optional: true}}
outputs: {data: Model}
container:
  image: example/mine
  command: [mine]
  args:
    - "{{$.inputs.artifacts['data'].path}}"
    - if: {cond: {isPresent: note}, then: {inputValue: note}}
    - {outputPath: data}
""",
        encoding="utf-8",
    )
    compiled = load.pipeline(written(tmp_path, "  mine: {component: mine, arguments: {data: s3://b/x}}\n"))
    args = container(compiled, "exec-mine").args
    assert args[0] == "{{$.inputs.artifacts['data'].path}}"
    assert json.loads(args[1])["IfPresent"]["Then"] == "{{$.inputs.parameters['note']}}"
    assert compiled.code == (tmp_path,)
    assert compiled.base == tmp_path
