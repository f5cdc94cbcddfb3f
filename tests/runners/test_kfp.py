"""Pipelines written in the KFP DSL and compiled by its SDK: they load, come back as they were, and run here."""

# No postponed annotations here: the SDK reads them as they are.
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import ir, runs
from orchestrator.errors import OrchestratorError, PipelineError
from orchestrator.runners.events import Status
from orchestrator.runs import checked, loaded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import compiler, dsl
    from kfp.dsl import Artifact, Input, Metrics, Output

    @dsl.component(base_image="python:3.11")
    def add(a: int, b: int = 1) -> int:
        return a + b

    @dsl.container_component
    def say(text: str, out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(
            image="x", command=["sh", "-c", 'mkdir -p "$(dirname "$1")"; printf %s "$0" > "$1"'], args=[text, out]
        )

    @dsl.container_component
    def number(value: float, f1: dsl.OutputPath(float), whole: dsl.OutputPath(int)):
        return dsl.ContainerSpec(
            image="x", command=["sh", "-c", 'printf %s "$0" > "$1"; printf 1 > "$2"'], args=[value, f1, whole]
        )

    @dsl.container_component
    def note(text: str):
        return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf "%s\\n" "$0" >> "$TRACE"'], args=[text])

    @dsl.container_component
    def show(items: list, out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf %s "$0" > "$1"'], args=[items, out])

    @dsl.container_component
    def fail():
        return dsl.ContainerSpec(image="x", command=["sh", "-c", "echo error: broken; exit 3"])

    @dsl.container_component
    def write(text: str, data: Output[Artifact]):
        return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf %s "$0" > "$1"'], args=[text, data.path])

    @dsl.container_component
    def read(data: Input[Artifact], out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(image="x", command=["cp"], args=[data.path, out])

    @dsl.container_component
    def told(status: dsl.PipelineTaskFinalStatus):
        return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf "%s\\n" "$0" >> "$TRACE"'], args=["told"])

    @dsl.pipeline(name="named-output")
    def named_output(value: float = 0.93, limit: float = 0.85) -> None:
        """L1, L2: conditions on a named output, and between a whole number and one with a point."""
        measured = number(value=value)
        with dsl.If(measured.outputs["f1"] > limit):
            note(text="good")
        with dsl.Else():
            note(text="bad")
        with dsl.If(measured.outputs["whole"] > 0.5):
            note(text="mixed")

    @dsl.pipeline(name="apostrophe")
    def apostrophe(word: str = "it's") -> None:
        """L3: the SDK does not escape what it compares with."""
        spoken = say(text=word)
        with dsl.If(spoken.outputs["out"] == "it's"):
            note(text="ran")

    @dsl.pipeline(name="injection")
    def injection(word: str = "x' or 'a'=='a' or 'b'=='") -> None:
        """L4: a value is a value."""
        spoken = say(text=word)
        with dsl.If(spoken.outputs["out"] == "never"):
            note(text="never")

    @dsl.pipeline(name="loops")
    def loops(items: list = [1, 2, 3]) -> list:  # noqa: B006
        """L5, L8: side by side, and whole numbers stay whole."""
        with dsl.ParallelFor(items, parallelism=2) as item:
            added = add(a=item, b=1)
        shown = show(items=dsl.Collected(added.output))
        show(items=[1, 2, {"a": 3}]).set_display_name("literal")
        with dsl.ParallelFor([{"n": "1", "w": "a"}, {"n": "2", "w": "b"}]) as each:
            note(text=each.w)
        shown.set_caching_options(enable_caching=False)
        return dsl.Collected(added.output)

    @dsl.pipeline(name="guarded")
    def guarded() -> None:
        with dsl.ExitHandler(told()):
            fail()

    @dsl.pipeline(name="branches")
    def branches(flip: str = "heads") -> str:
        with dsl.If(flip == "heads"):
            first = say(text="h")
        with dsl.Else():
            second = say(text="t")
        return dsl.OneOf(first.outputs["out"], second.outputs["out"])

    @dsl.pipeline(name="inner")
    def inner(text: str) -> Artifact:
        return write(text=text).outputs["data"]

    @dsl.pipeline(name="outer")
    def outer(text: str = "deep") -> str:
        """L14: artifacts through nested pipelines; an implicit order (L13)."""
        part = inner(text=text)
        return read(data=part.output).outputs["out"]

    @dsl.pipeline(name="retried")
    def retried() -> None:
        with dsl.If(say(text="x").outputs["out"] == "x"):
            fail().set_retry(1, "0s").set_display_name("Sagt ä b")
        note(text="anyway").ignore_upstream_failure()

    PIPELINES = (named_output, apostrophe, injection, loops, guarded, branches, outer, retried)


@pytest.fixture
def compiled(tmp_path: Path):
    def compile_(pipeline: Any) -> Path:
        path = tmp_path / "pipeline.yaml"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiler.Compiler().compile(pipeline, str(path))
        return path

    return compile_


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda each: each.name)
def test_what_the_sdk_compiles_comes_back_as_it_was(compiled, pipeline):
    path = compiled(pipeline)
    spec, platform = ir.read(path)
    text = ir.dump(spec, platform)
    assert ir.load(text) == (spec, platform)
    assert ir.dump(*ir.load(text)) == text
    theirs = next(yaml.safe_load_all(path.read_text()))
    ours = yaml.safe_load(text)
    assert ours["deploymentSpec"] == theirs["deploymentSpec"]
    assert ours["components"].keys() == theirs["components"].keys()


@pytest.fixture
def run(project, compiled):
    def run_(pipeline: Any, **given: str):
        compiled(pipeline)
        return project.run(**given)

    return run_


@pytest.mark.parametrize(("value", "lines"), [("0.93", {"good", "mixed"}), ("0.5", {"bad", "mixed"})])
def test_a_condition_on_a_named_output(run, project, value, lines):
    assert run(named_output, value=value).status is Status.SUCCEEDED
    assert set(project.trace) == lines


def test_an_apostrophe_is_never_silently_false(run, project):
    ran = run(apostrophe)
    assert ran.status is Status.FAILED or project.trace == ["ran"]
    if ran.status is Status.FAILED:
        assert "it's" in ran.end.reason


def test_a_value_cannot_become_code(run, project):
    ran = run(injection)
    assert ran.status is Status.SUCCEEDED
    assert project.trace == []


def test_loops_collect_whole_numbers(run, project):
    ran = run(loops)
    assert ran.status is Status.SUCCEEDED
    assert ran.outputs == {"Output": [2, 3, 4]}
    assert ran.value("show") == "[2, 3, 4]"
    assert ran.value("literal") == '[1, 2, {"a": 3}]'
    assert sorted(project.trace) == ["a", "b"]
    assert run(loops, items="[]").value("show") == "[]"


def test_an_exit_handler_runs_after_a_failure(run, project):
    ran = run(guarded)
    assert ran.status is Status.FAILED
    assert ran.end.reason == "fail: broken"
    assert project.trace == ["told"]


@pytest.mark.parametrize(("flip", "out"), [("heads", "h"), ("tails", "t")])
def test_one_of(run, flip, out):
    assert run(branches, flip=flip).outputs == {"Output": out}


def test_artifacts_through_nested_pipelines(run):
    ran = run(outer)
    assert ran.outputs == {"Output": "deep"}
    assert list(ran.statuses) == ["inner/write", "read"]
    assert run(outer, text='it\'s "{{$}}"').outputs == {"Output": 'it\'s "{{$}}"'}


def test_a_failure_is_retried_and_ignored(run, project):
    ran = run(retried)
    assert ran.status is Status.FAILED
    assert [each.attempt for each in ran.retried] == [1]
    assert ran.statuses["Sagt ä b"] == "FAILED"
    assert project.trace == ["anyway"]


def test_metrics_of_metadata_alone(project, compiled):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        @dsl.component(base_image="python:3.11")
        def measure(metrics: Output[Metrics]):
            metrics.log_metric("f1", 0.5)

        @dsl.pipeline(name="measured")
        def measured() -> None:
            measure()

    compiled(measured)
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    assert ran.tasks["measure"].outputs.artifacts["metrics"][0].metadata == {"f1": 0.5}


ONE = "pipelineInfo: {name: x}\nroot: {dag: {tasks: {a: {componentRef: {name: c}, dependentTasks: [b]}}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "pipelineInfo: {name: x}\n",
        ONE,
        ONE + "components: {c: {executorLabel: e}}\n",
        "pipelineInfo: {name: x}\nroot: 3\n",
        "pipelineInfo: {name: x}\nrot: {dag: {tasks: {}}}\nroot: {}\n",
        "pipelineInfo:\n\t- x\n",
        "pipelineInfo: {name: x}\nroot: {a: [" + "[" * 5000,
    ],
)
def test_a_broken_specification_is_told(tmp_path, project, text):
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(OrchestratorError):
        list(runs.start(tmp_path / "broken.yaml", {}, project.settings, runs.Options()))


SOUND = """pipelineInfo: {name: x}
deploymentSpec: {executors: {e: {container: {image: none, command: ["true"]}}}}
components: {c: {executorLabel: e, outputDefinitions: {parameters: {out: {parameterType: STRING}}}}}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SOUND + "root: {}\n", "the pipeline has no tasks"),
        (SOUND + "root: {dag: {tasks: {}}}\n", "the pipeline has no tasks"),
        (SOUND + "root: {dag: {tasks: {a: {componentRef: {name: d}}}}}\n", "there is no component 'd'"),
        (
            SOUND
            + "root: {dag: {tasks: {a: {componentRef: {name: c}}, b: {componentRef: {name: c}, inputs: {parameters:"
            " {i: {taskOutputParameter: {producerTask: a, outputParameterKey: two}}}}}}}}\n",
            "task 'b' takes the output 'two' of task 'a', which has none of that name",
        ),
        (SOUND + "components: {}\nroot: {dag: {tasks: {}}}\n", "duplicate key 'components'"),
        ("schemaVersion: 2.1.0\ncomponents:\n  c: {}\n", "a compiled specification that lacks 'pipelineInfo'"),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
            "an Argo workflow, as version 1 of the KFP SDK made them",
        ),
        ("name: c\nimplementation:\n  container: {image: x}\n", "a component, not a pipeline"),
    ],
)
def test_a_specification_that_could_not_run_is_refused_with_its_name(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    for use in (loaded.load, lambda file: checked.check(file, [])):
        with pytest.raises(PipelineError) as caught:
            use(file)
        assert told in caught.value.problems[0].message
        assert caught.value.problems[0].at.file == str(file)
