"""The program side of a component: flags, types, outputs, errors; run as a process where that is what counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import program
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem

COMPONENT = """
inputs:
  text: {type: string}
  whole: {type: integer, default: 3}
  rate: {type: number, optional: true}
  listed: {type: list, default: []}
  data: {type: Dataset, optional: true}
outputs:
  out: {type: string}
  files: {type: Dataset}
"""
PROGRAM = """
import os, sys
from orchestrator import program

def main(task):
    task.set("out", task.value("text") + os.environ.get("MORE", ""))
    task.output("files").write_text("x")
    task.metadata("files", {"rows": task.value("whole")})
    task.progress(1, 4, "part")
    task.warn("careful")
    if task.value("text") == "extra":
        import extra
    if task.value("text") == "boom":
        raise ValueError("a bug")

if __name__ == "__main__":
    program.run(__file__, main)
"""


@pytest.fixture
def interface(tmp_path: Path) -> program.Interface:
    (tmp_path / "component.yaml").write_text(COMPONENT)
    return program.Interface.read(tmp_path / "component.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "components" / "demo"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(PROGRAM)
    return folder


def execute(interface, main, *arguments: str) -> int:
    return program.execute(interface, ["--text", "t", "--out", "/tmp/o", "--files", "/tmp/f", *arguments], main)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--wole", "3"], "error: unknown argument '--wole'\n  hint: did you mean 'whole'?"),
        (["whole"], "error: unknown argument 'whole'"),
        (["--whole"], "error: --whole needs a value"),
        (["--whole", "x"], "error: whole: expected integer as JSON, not 'x'"),
        (["--whole", "1.5"], "error: whole: expected integer, not '1.5'"),
        (["--whole", "true"], "error: whole: expected integer, not 'true'"),
        (["--whole", "9" * 5000], "error: whole: expected integer as JSON"),
        (["--rate", '"1"'], "error: rate: expected number"),
        (["--listed", "{}"], "error: listed: expected list"),
        (["--listed", "[" * 100_000], "error: listed: expected list as JSON"),
    ],
)
def test_arguments_that_cannot_be_used(interface, capsys, arguments, expected):
    code = execute(interface, lambda task: [task.value(name) for name in ("whole", "rate", "listed")], *arguments)
    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith(expected)
    assert len(said) < 400


def test_missing_arguments_are_named_together(interface, capsys):
    assert program.execute(interface, ["--whole=3"], lambda task: None) == 1
    assert "error: missing arguments: --files, --out, --text" in capsys.readouterr().err


def test_help_tells_the_flags_and_runs_nothing(interface, capsys):
    assert program.execute(interface, ["--help"], lambda task: pytest.fail("it ran")) == 0
    said = capsys.readouterr().out
    assert [name for name in (*interface.inputs, *interface.outputs) if f"  --{name} " not in said] == []


def test_values_are_typed_defaulted_or_absent(interface):
    got = {}

    def main(task: program.Task) -> None:
        got.update({name: task.value(name) for name in ("text", "whole", "rate", "listed")})
        got["data"] = task.optional_path("data")

    assert execute(interface, main, "--text=--dashes", "--rate", "2") == 0
    assert got == {"text": "--dashes", "whole": 3, "rate": 2.0, "listed": [], "data": None}
    assert type(got["rate"]) is float
    assert execute(interface, main, "--listed", "[1, 2.5]", "--whole", "4.0", "--data", "/x") == 0
    assert (got["listed"], got["whole"], got["data"]) == ([1, 2.5], 4, Path("/x"))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OrchestratorError("no", hint="do"), 1, "error: no\n  hint: do\n"),
        (
            PipelineError([Problem(Location("f", 2, 1), "b"), Problem(Location("f", 1, 1), "a")]),
            2,
            "error: f:1:1: a\nerror: f:2:1: b\n",
        ),
    ],
)
def test_errors_are_told_without_a_traceback(interface, capsys, error, code, said):
    def main(task: program.Task) -> None:
        raise error

    assert execute(interface, main) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_told_as_one(interface, capsys):
    assert execute(interface, lambda task: task.value("gone")) == program.BUG
    assert "Traceback" in capsys.readouterr().err


def test_an_input_that_is_needed_and_absent(interface, capsys):
    assert execute(interface, lambda task: task.path("data")) == 1
    assert "error: the input 'data' was not given" in capsys.readouterr().err


def test_a_list_of_artifacts_is_a_path_for_each(interface):
    def listed(*uris: str) -> str:
        return json.dumps({"inputs": {"artifacts": {"data": {"artifacts": [{"uri": uri} for uri in uris]}}}})

    found: list[list[str]] = []

    def main(task):
        found.append([str(path) for path in task.paths("data")])

    assert execute(interface, main) == 0
    assert execute(interface, main, "--data", "/a") == 0
    assert execute(interface, main, "--data", "/a", "--executor_input", listed("/a", "/b")) == 0
    assert execute(interface, main, "--data", "/x", "--executor_input", listed("minio://b/k", "gs://b/k")) == 0
    assert found == [[], ["/a"], ["/a", "/b"], ["/minio/b/k", "/gcs/b/k"]]


def test_invoked_as_a_process(folder, tmp_path):
    done = program.invoke(folder, {"text": "hi", "whole": 5}, tmp_path / "outputs")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["::progress 1/4 part", "warning: careful"]
    assert done.parameters == {"out": "hi"}
    assert done.artifacts["files"].read_text() == "x"
    assert done.metadata == {"files": {"rows": 5}}
    assert not list((tmp_path / "outputs").glob("executor_output.json.*"))


def test_invoked_with_an_environment_of_its_own(folder, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "extra.py").write_text("")
    surroundings = {"MORE": "!", "PYTHONPATH": str(tmp_path / "more")}
    done = program.invoke(folder, {"text": "extra"}, tmp_path / "outputs", environment=surroundings)
    assert (done.code, done.stderr) == (0, "")
    assert done.parameters == {"out": "extra!"}


def test_metadata_is_written_even_when_the_program_breaks(folder, tmp_path):
    done = program.invoke(folder, {"text": "boom"}, tmp_path / "outputs")
    assert done.code == program.BUG
    assert "ValueError: a bug" in done.stderr
    assert done.metadata == {"files": {"rows": 3}}


@pytest.mark.parametrize("kind", ["list", "struct", "number", "integer", "boolean", "TaskFinalStatus"])
def test_text_of_any_kind_is_read_or_told(kind):
    for text in ("", "x", "1", "1.5", "true", "True", "[1]", '{"a": 1}', "NaN", "null", '"s"'):
        try:
            value = program.typed(text, kind, "n")
        except OrchestratorError:
            continue
        assert json.dumps(value) is not None
        assert isinstance(value, {"list": list, "struct": dict, "number": float, "integer": int, "boolean": bool,
                                  "TaskFinalStatus": dict}[kind])  # fmt: skip
