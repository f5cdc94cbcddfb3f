"""Python files with a KFP pipeline: which one is meant, and what is wrong with one in the user's own lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import ir, runs, settings
from orchestrator.errors import PipelineError
from orchestrator.pipeline import python
from orchestrator.runners.events import RunFinished
from orchestrator.stores.metadata import Metadata

ONE = """
import sys, warnings
warnings.warn("to be ignored")
print("noise")
from pathlib import Path
from kfp import dsl
from beside import NAME

@dsl.container_component
def say(text: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf %s "$0" > "$1"'], args=[text, out])

@dsl.pipeline(name=NAME)
def train(text: str = "hello") -> str:
    return say(text=text).outputs["out"]
"""
SECOND = """
@dsl.pipeline
def other():
    say(text="x")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("NAME = 'my-training'\n")
    path = tmp_path / "mine.py"
    path.write_text(ONE)
    return path


def problem(file: Path, name: str = "") -> tuple[str, str]:
    with pytest.raises(PipelineError) as caught:
        python.compile(file, name)
    (found,) = caught.value.problems
    return f"{found.at}: {found.message}".removeprefix(f"{file.parent}/"), found.hint.replace(f"{file.parent}/", "")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mine.py", ("mine.py", "")),
        ("a/mine.py:train", ("a/mine.py", "train")),
        ("a:b/mine.py:my-training", ("a:b/mine.py", "my-training")),
        ("pipeline.yaml", None),
        ("pipeline.yaml:train", None),
        ("mine.pyc", None),
    ],
)
def test_a_name_comes_after_a_colon(written: str, expected: tuple[str, str] | None) -> None:
    found = python.split(Path(written))
    assert found == (None if expected is None else (Path(expected[0]), expected[1]))


def test_the_only_pipeline_needs_no_name(file: Path) -> None:
    alone, _ = python.compile(file, "")
    assert alone.pipeline_info.name == "my-training"
    assert python.compile(file, "train")[0] == python.compile(file, "my-training")[0] == alone
    component, _ = python.compile(file, "say")
    assert component.pipeline_info.name == "say"


def test_of_several_one_is_named(file: Path) -> None:
    file.write_text(ONE + SECOND)
    assert python.compile(file, "other")[0].pipeline_info.name == "other"
    assert problem(file) == ("mine.py: there are 2 pipelines in it: other, train", "name one: mine.py:other")
    assert problem(file, "tran") == ("mine.py: there is no pipeline 'tran'", "did you mean 'train'?")
    assert problem(file, "NAME")[0] == "mine.py: 'NAME' is no @dsl.pipeline"


def test_an_imported_pipeline_is_not_the_files_own(file: Path) -> None:
    (file.parent / "user.py").write_text("from mine import train, dsl, say\n" + SECOND)
    assert python.compile(file.parent / "user.py", "")[0].pipeline_info.name == "other"


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("from kfp import dsl\ndef x(:\n", "mine.py:2:7: not Python: invalid syntax", ""),
        ("x = 1\n", "mine.py: there is no @dsl.pipeline in it", ""),
        ("import no_such\n", "mine.py:1:1: ModuleNotFoundError: No module named 'no_such'", ""),
        ("import sys\nsys.exit(3)\n", "mine.py:2:1: the file ends the program itself: sys.exit(3)", ""),
        ("raise RuntimeError('two\\nlines')\n", "mine.py:1:1: RuntimeError: two lines", ""),
        ("import broken\n", "broken.py:2:1: ValueError: far away", "called from broken.py:4, mine.py:1"),
        ("import os\nos._exit(4)\n", "mine.py: the KFP SDK does not compile it: exit code 4", ""),
    ],
)
def test_what_is_wrong_is_said_where_it_is(file: Path, text: str, expected: str, hint: str) -> None:
    (file.parent / "broken.py").write_text("def f():\n    raise ValueError('far away')\n\nf()\n")
    file.write_text(text)
    assert problem(file) == (expected, hint)


def test_of_a_recursion_without_end_a_few_callers_are_named(file: Path) -> None:
    file.write_text("def f():\n    f()\n\nf()\n")
    place, hint = problem(file)
    assert place == "mine.py:2:1: RecursionError: maximum recursion depth exceeded"
    assert re.fullmatch(r"called from (mine.py:2, ){8}and [0-9]+ more", hint)


def test_a_mistake_inside_the_sdk_is_the_users_line(file: Path) -> None:
    file.write_text(ONE + "\n@dsl.pipeline\ndef wrong():\n    say(txt='x')\n")
    place, _ = problem(file)
    assert place.startswith("mine.py:19:1: TypeError: say() ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.py") == ("none.py: there is no such file", "")


def test_it_runs_and_what_it_was_compiled_to_is_recorded(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    read = settings.read({"ORC_STATE": str(tmp_path / "state")}, tmp_path)
    events = list(runs.start(Path("mine.py:train"), {"text": "you"}, read, runs.Options()))
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.outputs.parameters == {"Output": "you"}
    metadata = Metadata(tmp_path / "state" / "state.db")
    record = metadata.run("last")
    metadata.close()
    assert record.source == "mine.py:train"
    assert ir.load(record.ir, "")[0] == python.compile(file, "train")[0]


def test_commands_take_it(file: Path) -> None:
    def orc(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=file.parent,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ORC_STATE": str(file.parent / "state")},
        )
        return done.stdout + done.stderr

    assert orc("validate", "mine.py") == "mine.py: KFP pipeline my-training\n"
    assert "name: my-training" in orc("compile", "mine.py:train")
    assert orc("run", "mine.py:tran") == "mine.py: there is no pipeline 'tran'\n  hint: did you mean 'train'?\n"
