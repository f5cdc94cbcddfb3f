"""Two runs compared, and the way of an artifact through runs."""

from __future__ import annotations

import contextlib

import pytest

from orchestrator import ir
from orchestrator.history import difference, lineage, specification

CONDITION = "inputs.parameter_values['n']"
SPEC = """
pipelineInfo: {name: p}
sdkVersion: kfp-2.16.1
schemaVersion: 2.1.0
root:
  inputDefinitions: {parameters: {n: {parameterType: NUMBER_INTEGER, defaultValue: 1}}}
  dag:
    tasks:
      a: {taskInfo: {name: a}, componentRef: {name: comp-a}, inputs: {parameters: {x: {runtimeValue: {constant: 1}}}}}
      b:
        taskInfo: {name: b}
        componentRef: {name: comp-b}
        dependentTasks: [a]
        triggerPolicy: {condition: "inputs.parameter_values['n'] > 1"}
components:
  comp-a: {executorLabel: exec-a, inputDefinitions: {parameters: {x: {parameterType: NUMBER_INTEGER}}}}
  comp-b: {executorLabel: exec-b}
deploymentSpec:
  executors:
    exec-a: {container: {image: one, command: [run, a]}}
    exec-b: {container: {image: two, command: [run, b], env: [{name: L, value: "1"}]}}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ()),
        ("image: one", "image: other", ("task a: its image changed: one -> other",)),
        ("command: [run, b]", "command: [run, c]", ("task b: its command changed",)),
        ('value: "1"', 'value: "2"', ("task b: its variables changed: L",)),
        ("constant: 1", "constant: 2", ("task a: argument 'x' changed from 1 to 2",)),
        ("dependentTasks: [a]", "", ("task b: its order after other tasks changed",)),
        ("> 1", "> 2", (f"task b: its condition changed: {CONDITION} > 1 -> {CONDITION} > 2",)),
        ("parameterType: NUMBER_INTEGER}}}}", "parameterType: STRING}}}}", ("task a: its inputs changed: x changed",)),
        ("n: {param", "m: {parameterType: STRING}, n: {param", ("the pipeline's inputs changed: m added",)),
        ("      b:\n", "      c:\n", ("task c was added", "task b was removed")),
        ("dependent", "retryPolicy: {maxRetryCount: 2}\n        dependent", ("task b: its retries changed",)),
        ("name: p}", "name: q}", ("it is another pipeline: p -> q",)),
    ],
)  # fmt: skip
def test_two_pipelines_in_words(old, new, said):
    assert old in SPEC
    changed = SPEC.replace(old, new, 1) if old else SPEC
    assert specification.sentences(ir.load(SPEC), ir.load(changed)) == said


@pytest.fixture
def pair(project):
    """Two runs of a pipeline that was changed between them."""
    text = """
parameters: {word: hello, n: 1}
tasks:
  make: {component: write, arguments: {text: "${parameters.word}"}}
  count: {component: count, arguments: {value: "${parameters.n}"}}
outputs: {count: "${tasks.count.outputs.out}"}
"""
    project.pipeline(text)
    project.run(run="one")
    project.pipeline(
        text.replace("  count:", "  read: {component: read, arguments: {data: '${tasks.make.outputs.out}'}}\n  count:")
    )
    project.run(run="two", n=3)
    return project


def test_two_runs_side_by_side(pair):
    with contextlib.closing(pair.metadata()) as metadata:
        found = difference.between(
            metadata.run("one"), metadata.run("two"), metadata.tasks("one"), metadata.tasks("two")
        )
        same = difference.between(
            metadata.run("one"), metadata.run("one"), metadata.tasks("one"), metadata.tasks("one")
        )
    assert [(row.name, row.was, row.now) for row in found.arguments if not row.same] == [("n", 1, 3)]
    assert found.pipeline == ("task read was added",)
    rows = {row.name: (row.was and row.was.status, row.now.status) for row in found.tasks}
    assert rows == {"make": ("SUCCEEDED", "SKIPPED"), "count": ("SUCCEEDED", "SUCCEEDED"), "read": (None, "SUCCEEDED")}
    assert {row.name: (row.was, row.now) for row in found.values if not row.same} == {
        "count": (1, 3), "count.out": (1, 3), "read.out": (None, "hello"),
    }  # fmt: skip
    assert [(row.name, row.same) for row in found.artifacts] == [("make.out", True)]
    assert all(row.same for rows in (same.arguments, same.tasks, same.values, same.artifacts) for row in rows)
    assert same.pipeline == ()


def test_who_made_an_artifact_and_who_used_it(pair):
    with contextlib.closing(pair.metadata()) as metadata:
        artifact = lineage.made(metadata.tasks("one"), "Dataset")[0].artifact
        found = lineage.of(artifact.digest[:8], metadata.holding(artifact.digest[:8]))
        assert lineage.made(metadata.tasks("one"), "Model") == []
    assert [each.artifact.digest for each in found] == [artifact.digest]
    assert [(each.task.run, each.called) for each in found[0].made] == [("one", "make.out"), ("two", "make.out")]
    assert [(each.task.run, each.task.name, each.name) for each in found[0].used] == [("two", "read", "data")]
