"""`orc run --resume`, `--only`, `--from` and `orc check`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Orc

BROKEN = 'if given.left == 2:\n    sys.exit("error: two is bad")\n'


@pytest.fixture
def program(project: Path) -> Path:
    """The program of the component; its second task fails until it is mended."""
    file = project / "components" / "add" / "__main__.py"
    mended = file.read_text()
    (project / "mended.py").write_text(mended)
    pipeline = project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("two: {component: add", "two: {component: more"))
    more = project / "components" / "more"
    more.mkdir()
    (more / "component.yaml").write_text((file.parent / "component.yaml").read_text().replace("add", "more"))
    (more / "__main__.py").write_text(mended.replace("if given.left < 0", BROKEN + "if given.left < 0"))
    return more / "__main__.py"


def test_after_the_code_was_mended_a_new_run_takes_over(program: Path, orc: Orc) -> None:
    failed = orc("run", "pipeline.yaml")
    assert failed.returncode == 3
    program.write_text((program.parents[2] / "mended.py").read_text())
    ran = orc("run", "pipeline.yaml", "--no-cache", "--resume")
    assert ran.returncode == 0, ran.stderr
    runs = json.loads(orc("runs", "--format", "json").stdout)
    assert [run["status"] for run in runs] == ["SUCCEEDED", "FAILED"]
    assert f"one: cached from run {runs[1]['run']}" in ran.stdout
    assert "two: succeeded" in ran.stdout
    events = orc("run", "pipeline.yaml", "--no-cache", "--format", "json", "--resume", runs[1]["run"]).stdout
    finished = [data for data in map(json.loads, events.splitlines()) if data["event"] == "TaskFinished"]
    assert [(data["task"]["name"], data["status"]) for data in finished] == [("one", "SKIPPED"), ("two", "SUCCEEDED")]
    assert finished[0]["cached_from"] == f"{runs[1]['run']}/one"
    # The file may come after the bare option, too.
    assert orc("run", "--resume", "pipeline.yaml").returncode == 0
    complete = orc("resume")
    assert complete.returncode == 3
    assert "hint: `orc run FILE --resume" in complete.stderr


def test_some_tasks_run_and_the_others_are_told(project: Path, orc: Orc) -> None:
    nothing = orc("run", "pipeline.yaml", "--only", "two")
    assert nothing.returncode == 3
    assert "the task 'two' needs the output 'sum' of 'one' as its input 'left'" in nothing.stderr
    assert json.loads(orc("runs", "--format", "json").stdout) == []
    assert orc("run", "pipeline.yaml", "-a", "start=5").returncode == 0
    only = orc("run", "pipeline.yaml", "--only", "two")
    assert only.returncode == 0, only.stderr
    assert "one: cached from run" in only.stdout
    assert "total  7\n" in only.stdout
    first = orc("run", "pipeline.yaml", "--only", "one")
    assert "two: not triggered: not selected" in first.stdout
    both = orc("run", "pipeline.yaml", "--from", "one")
    assert "2 succeeded" in both.stdout
    assert orc("run", "pipeline.yaml", "--only", "one, two").returncode == 0
    shown = json.loads(orc("show", "--format", "json").stdout)
    assert [task["status"] for task in shown["tasks"]] == ["SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "tow"], 4, "there is no task 'tow'"),
        (["--only", "one", "--resume"], 1, "--resume and --only do not go together"),
        (["--only", ""], 1, "--only names no task"),
        (["--of", "last"], 1, "--of says where --only and --from take inputs from"),
        (["--resume", "nothing"], 4, "there is no run 'nothing'"),
        (["--resume"], 3, "the pipeline 'sums' has not run yet"),
    ],
)
def test_what_cannot_be_is_told(project: Path, orc: Orc, words: list[str], code: int, said: str) -> None:
    told = orc("run", "pipeline.yaml", *words)
    assert (told.returncode, said in told.stderr) == (code, True), told.stderr


def test_check_reports_and_only_strict_fails(project: Path, orc: Orc) -> None:
    pipeline = project / "pipeline.yaml"
    clean = orc("check", "pipeline.yaml", "--strict")
    assert (clean.returncode, clean.stdout) == (0, "local: nothing to remark\nkfp-2.17: nothing to remark\n")
    pipeline.write_text(
        pipeline.read_text().replace(
            'seconds: "${parameters.seconds}"}}', 'seconds: "${parameters.seconds}"}, cache: {ttl: 1h}}'
        )
    )
    told = orc("check", "pipeline.yaml", "--target", "kfp-2.15", "--strict")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0] == "kfp-2.15: 1 ignored"
    assert lines[1].startswith("  pipeline.yaml:8:")
    assert lines[1].endswith(": ignored: one")
    broken = orc("compile", "pipeline.yaml", "-o", "made.ir.yaml")
    assert broken.returncode == 0
    made = project / "made.ir.yaml"
    made.write_text(made.read_text().replace("- --left", '- \'{"Concat": ["--left"]}\''))
    data = json.loads(orc("check", "made.ir.yaml", "--target", "kfp-2.17", "--format", "json").stdout)
    assert {each["rule"] for each in data} == {"concat", "cache-ttl"}
    assert all(each["line"] for each in data)
    strict = orc("check", "made.ir.yaml", "--strict")
    assert strict.returncode == 2
    assert "kfp-2.17: 2 fail, 1 ignored" in strict.stdout
    assert orc("check", "missing.yaml").returncode == 2
    assert orc("check", "pipeline.yaml", "--target", "kfp-9").returncode == 2
