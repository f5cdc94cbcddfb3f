"""Every mistake gets one clear error with its place, the exit code of its kind, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .conftest import Make, Project

Mistake = Callable[[str], str | bytes]


def _bomb(_: str) -> str:
    """Each line doubles the one before; and 10 MB of it, should the size alone be what is looked at."""
    lines = ["a0: &a0 [boom, boom, boom, boom, boom, boom, boom, boom]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    return "\n".join(lines) + "\n" + "".join(f"b{n}: *a11 # {'x' * 1000}\n" for n in range(10_000))


# What is wrong with the file, where, and words of the message.
FILES: dict[str, tuple[Mistake, str, str]] = {
    "unknown key": (lambda text: text.replace("  train:\n", "  train:\n    retries: 3\n"), r":\d+:5", "'retries'"),
    "duplicate key": (lambda text: text + "outputs: {}\n", r":\d+:1", "duplicate key 'outputs'"),
    "unknown task": (lambda text: text.replace("tasks.train.", "tasks.trian.", 1), r":\d+:\d+", "'trian'"),
    "wrong type": (lambda text: text.replace("key: [id]", "key: id"), r":\d+:\d+", "must be a list"),
    "cycle": (lambda text: text.replace("after: [validate]", "after: [publish]"), r":\d+:\d+", "wait for each other"),
    "missing file": (lambda text: text.replace("schema.yaml", "no-such.yaml"), r":\d+:\d+", "no-such.yaml"),
    "empty file": (lambda text: "", "", "empty"),
    "binary garbage": (lambda text: bytes(range(256)) * 100, "", ""),
    "a bomb": (_bomb, "", ""),
    "a small bomb": (lambda text: _bomb(text).partition("b0:")[0], "", ""),
    "not a mapping": (lambda text: "- 1\n- 2\n", r"(:1:1)?", ""),
    "deep": (lambda text: "[" * 100_000, "", ""),
}


@pytest.mark.parametrize("mistake", FILES)
def test_a_wrong_file(new: Make, mistake: str) -> None:
    project = new("penguins")
    change, place, words = FILES[mistake]
    file = project.folder / "pipeline.yaml"
    changed = change(file.read_text(encoding="utf-8"))
    file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    ended = project.orc("run", "pipeline.yaml", timeout=20)
    assert (ended.code, ended.out) == (2, ""), ended.text
    assert re.match(rf"pipeline\.yaml{place or r'(:[0-9]+:[0-9]+)?'}: ", ended.err), ended.err
    assert words in ended.err
    assert len(ended.err) < 1500
    assert not project.state.exists(), "nothing was recorded"


def test_a_pipeline_that_is_not_there(new: Make) -> None:
    project = new()
    for path in ("no.yaml", ".", "no/such/folder.yaml", ""):
        ended = project.orc("run", path)
        assert ended.code == 2, ended.text
        assert len(ended.err.splitlines()) <= 2, ended.err
    assert not project.state.exists()


COMPONENT = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: own}
inputs: {how: {type: string}}
outputs: {data: {type: Dataset}}
container: {image: own, command: [python, -m, components.own]}
"""

PROGRAM = """\
import argparse, pathlib, sys

parser = argparse.ArgumentParser()
parser.add_argument("--how"), parser.add_argument("--data", type=pathlib.Path)
given = parser.parse_args()
if given.how == "exits 3":
    print("three it is")
    sys.exit(3)
if given.how != "nothing":
    given.data.write_text(given.how)
"""

PIPELINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: own}
parameters: {how: {type: string}, target: species}
tasks:
  own: {component: own, arguments: {how: "${parameters.how}"}}
  ingest: {component: ingest, arguments: {source: "${tasks.own.outputs.data}", format: csv}}
  train:
    component: train
    arguments:
      {data: "${tasks.ingest.outputs.train}", target: "${parameters.target}", algorithm: logistic_regression}
"""

TABLE = "length,species\n" + "".join(f"{n}.5,{'ab'[n % 2]}\n" for n in range(40))
RUNS = {
    "a component that writes no output": ({"how": "nothing"}, "own", r"'data'"),
    "a component that exits 3": ({"how": "exits 3"}, "own", r"exit code 3|three it is"),
    "ragged rows": ({"how": "a,b\n1,2\n1,2,3\n4\n"}, "ingest", r"data:3: the row has 3 cells"),
    "an empty CSV": ({"how": ""}, "ingest", r"empty"),
    "only a header": ({"how": "a,b\n"}, "ingest", r"no rows|empty"),
    "an unknown target": ({"how": TABLE, "target": "speces"}, "train", r"speces(.|\n)*did you mean 'species'"),
}


@pytest.mark.parametrize("mistake", RUNS)
def test_a_wrong_task(new: Make, mistake: str) -> None:
    project = new()
    folder = project.folder / "components" / "own"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(PROGRAM)
    (project.folder / "pipeline.yaml").write_text(PIPELINE)
    given, task, words = RUNS[mistake]
    arguments = [word for name, value in given.items() for word in ("--arg", f"{name}={value}")]
    ended = project.run(*arguments, code=3)
    run = project.show()
    assert run["status"] == "FAILED"
    assert run["reason"].startswith(f"{task}: "), run["reason"]
    assert re.search(words, ended.text), ended.text
    assert f"{task} failed" in ended.out
    assert "log.txt" in ended.out
    assert project.statuses()[task] == "FAILED"
    assert project.published() == {"models": {}, "endpoints": {}}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--arg", "min_f1"], 1, "NAME=VALUE"),
        (["--arg", "=1"], 1, "NAME=VALUE"),
        (["--arg", "min_f1=high"], 2, "min_f1"),
        (["--arg", "min_fl=0.9"], 2, "did you mean 'min_f1'"),
        (["--workers", "0"], 2, "workers"),
        (["--format", "xml"], 2, "xml"),
        (["--arg", "min_f1=nan"], 2, "min_f1"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_argument(penguins: Project, arguments: list[str], code: int, words: str) -> None:
    runs = len(penguins.runs())
    ended = penguins.orc("run", "pipeline.yaml", *arguments)
    assert (ended.code, ended.out) == (code, ""), ended.text
    assert words in ended.err
    assert len(penguins.runs()) == runs


@pytest.mark.parametrize(
    "name", ["no such.csv", "a\nb'\"$(id).csv", "x" * 5000, "data", "\u202egnp.csv"], ids=lambda name: ascii(name)[:12]
)
def test_a_source_that_is_not_there(penguins: Project, name: str) -> None:
    before = penguins.published()
    penguins.run("--arg", f"source={name}", code=3)
    run = penguins.show()
    assert run["status"] == "FAILED"
    assert "\n" not in run["reason"]
    assert penguins.published() == before


def test_a_run_that_is_not_there(penguins: Project, new: Make) -> None:
    for command in ("show", "logs", "resume", "cancel"):
        for project in (penguins, new("", command)):
            ended = project.orc(command, "no-such-run")
            assert (ended.code, ended.out) == (4, ""), ended.text
            assert "no-such-run" in ended.err
