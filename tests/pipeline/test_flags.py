"""The flags of optional inputs: settled where a task is written, asked of the server only where the run decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.pipeline import load

HEAD = "apiVersion: orchestrator/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
MAKE = "outputs: {text: string, data: Dataset, texts: list}\ncontainer: {image: x, command: [make]}\n"
TAKE = """
inputs:
  text: {type: string, optional: true}
  size: {type: integer, default: 3}
  data: {type: Dataset, optional: true}
container: {image: x, command: [take]}
"""
INNER = """
tasks:
  make: {component: make.yaml}
  maybe: {component: make.yaml, when: "${tasks.make.outputs.text} == 'a'"}
outputs: {text: "${tasks.maybe.outputs.text}"}
"""
PIPELINE = """
parameters:
  given: {type: string}
  usual: a
tasks:
  make: {component: make.yaml}
  each: {component: make.yaml, foreach: [1, 2]}
  inner: {component: inner.yaml}
  left: {component: make.yaml, when: "${parameters.usual} == 'a'"}
  right: {component: make.yaml, when: "${parameters.usual} != 'a'"}
  take: {component: take.yaml, SETTINGS}
finally:
  last: {component: take.yaml, FINAL}
"""
TEXT, DATA = "${tasks.make.outputs.text}", "${tasks.make.outputs.data}"


def words(folder: Path, settings: str, *, final: bool = False) -> list[str]:
    """The arguments of the task `take`, or of `last`, without those every task has."""
    for name, kind, text in (
        ("make", "Component", MAKE),
        ("take", "Component", TAKE),
        ("inner", "Pipeline", INNER),
        ("whole", "Pipeline", PIPELINE.replace("FINAL" if final else "SETTINGS", settings)),
    ):
        written = HEAD.format(kind=kind, name=name) + text.replace(", SETTINGS", "").replace(", FINAL", "")
        (folder / f"{name}.yaml").write_text(written, encoding="utf-8")
    spec = load.pipeline(folder / "whole.yaml").spec
    dags = [each.dag for each in (spec.root, *spec.components.values()) if each.dag]
    task = next(dag.tasks[name] for dag in dags for name in [("take", "last")[final]] if name in dag.tasks)
    container = spec.deployment_spec.executors[spec.components[task.component_ref.name].executor_label].container
    assert container is not None
    return [word.partition("'")[0] if word.startswith("{{") else word[:16] for word in container.args]


SIZE = ["--size", "{{$.inputs.parameters["]
GIVEN = [*SIZE, "--text", "{{$.inputs.parameters["]
ASKED = [*SIZE, '{"IfPresent": {"']


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", SIZE),
        ("arguments: {text: null}", SIZE),
        ("arguments: {text: a}", GIVEN),
        ('arguments: {text: "run ${run.id}"}', GIVEN),
        ('arguments: {text: "${run.id}"}', GIVEN),
        ('arguments: {text: "${parameters.given}"}', GIVEN),
        ('arguments: {text: "${parameters.usual}"}', GIVEN),
        (f'arguments: {{text: "{TEXT}"}}', GIVEN),
        ('arguments: {text: "${tasks.left.outputs.text}"}', GIVEN),
        ('arguments: {text: "${item}"}, foreach: [a, b]', GIVEN),
        ('arguments: {text: "${item.x}"}, foreach: [{x: a}, {x: b}]', GIVEN),
        ('arguments: {text: "${item.x}"}, foreach: "${tasks.make.outputs.texts}"', ASKED),
        ('arguments: {text: "${tasks.inner.outputs.text}"}', ASKED),
        ('arguments: {text: "${one_of(tasks.left.outputs.text, tasks.right.outputs.text)}"}', ASKED),
        (f'arguments: {{data: "{DATA}"}}', ["--data", "{{$.inputs.artifacts[", *SIZE]),
        ('arguments: {data: "s3://b/${parameters.given}"}', ["--data", "{{$.inputs.artifacts[", *SIZE]),
    ],
)
def test_a_task(tmp_path: Path, settings: str, expected: list[str]) -> None:
    assert words(tmp_path, settings) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("arguments: {text: a}", GIVEN),
        ('arguments: {text: "${parameters.given}"}', GIVEN),
        (f'arguments: {{text: "{TEXT}"}}', ASKED),
        (f'arguments: {{data: "{DATA}"}}', ['{"IfPresent": {"', *SIZE]),
        ('arguments: {data: "s3://b/x"}', ['{"IfPresent": {"', *SIZE]),
    ],
)
def test_a_task_of_finally(tmp_path: Path, settings: str, expected: list[str]) -> None:
    assert words(tmp_path, settings, final=True) == expected


def test_tasks_given_the_same_share_a_component(tmp_path: Path) -> None:
    words(tmp_path, "arguments: {text: a}")
    path = tmp_path / "whole.yaml"
    more = "  also: {component: take.yaml, arguments: {text: b, size: 4}}\n  bare: {component: take.yaml}\nfinally:"
    path.write_text(path.read_text(encoding="utf-8").replace("finally:", more), encoding="utf-8")
    compiled = load.pipeline(path)
    text = ir.dump(compiled.spec, compiled.platform)
    assert text.count("executorLabel: exec-take") == 2
    assert "IfPresent" not in text
