"""`orc` as a process: exit codes, what is printed where, and what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import ROOT, environment

if TYPE_CHECKING:
    from tests.cli.conftest import Orc


def test_a_run_from_start_to_record(project: Path, orc: Orc) -> None:
    ran = orc("run", "pipeline.yaml", "--arg", "start=2")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "two: succeeded" in ran.stdout
    assert "outputs\n  total  4\n" in ran.stdout

    again = orc("run", "pipeline.yaml", "-a", "start=2")
    assert again.returncode == 0
    assert "sums: succeeded" in again.stdout
    assert "2 cached" in again.stdout

    listed = json.loads(orc("runs", "--format", "json").stdout)
    assert [run["status"] for run in listed] == ["SUCCEEDED", "SUCCEEDED"]
    assert listed[0]["arguments"]["start"] == 2.0
    first = listed[1]["run"]

    table = orc("runs", "--limit", "1").stdout.splitlines()
    assert table[0].split() == ["run", "pipeline", "status", "started", "took"]
    assert len(table) == 2

    shown = orc("show", first).stdout
    assert "two.sum  4" in shown
    assert "start    2" in shown
    one = orc("show", first, "one").stdout
    assert "inputs\n  left     2" in one
    data = json.loads(orc("show", first[:-1], "--format", "json").stdout)
    assert [task["name"] for task in data["tasks"]] == ["one", "two"]
    assert data["tasks"][0]["outputs"]["parameters"] == {"sum": 3.0}

    assert orc("logs", first, "one").stdout == "2.0 + 1.0\n"
    # What a cached task said is what the task said whose outputs it took.
    assert "==> one (cached from run" in orc("logs").stdout


def test_json_is_one_event_a_line(project: Path, orc: Orc) -> None:
    ran = orc("run", "pipeline.yaml", "--format", "json", "--arg", "seconds=1")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert events[0]["event"] == "RunStarted"
    assert events[-1]["event"] == "RunFinished"
    assert events[-1]["outputs"]["parameters"] == {"total": 3.0}
    progress = [event for event in events if event["event"] == "TaskProgress"]
    assert progress
    assert progress[-1]["text"] == "part"


def test_a_failed_run_says_why_and_ends_with_3(project: Path, orc: Orc) -> None:
    ran = orc("run", "pipeline.yaml", "--arg", "start=-1")
    assert ran.returncode == 3
    assert "one failed: -1.0 is negative" in ran.stdout
    assert "two: not started" in ran.stdout
    run = json.loads(orc("runs", "--format", "json").stdout)[0]["run"]
    assert f"orc logs {run} one" in ran.stdout
    assert f"orc resume {run}" in ran.stdout
    assert orc("logs", run, "one").stdout == "error: -1.0 is negative\n"
    assert "one failed: -1.0 is negative" in orc("show").stdout
    assert orc("resume", run).returncode == 3


def test_wrong_files_are_told_by_place(project: Path, orc: Orc) -> None:
    (project / "broken.yaml").write_text(
        "apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: sums}\n"
        "tasks:\n  one: {component: ad, argments: {}}\n"
    )
    for command in ("run", "compile", "validate", "graph"):
        told = orc(command, "broken.yaml")
        assert told.returncode == 2, command
        assert told.stdout == ""
        assert "broken.yaml:5:24: unknown key 'argments'\n  hint: did you mean 'arguments'?\n" in told.stderr
        assert "Traceback" not in told.stderr
    assert not (project / ".orc").exists()


def test_validate_reports_the_problems_of_all_files(project: Path, orc: Orc) -> None:
    (project / "other.yaml").write_text("kind: Pipelin\n")
    told = orc("validate", "pipeline.yaml", "components/add/component.yaml", "other.yaml", "none.yaml")
    assert told.returncode == 2
    assert told.stdout == "pipeline.yaml: pipeline sums, 2 tasks\ncomponents/add/component.yaml: component add\n"
    assert told.stderr == (
        "none.yaml: the file does not exist\n"
        "other.yaml:1:7: unknown kind 'Pipelin'\n  hint: did you mean 'Pipeline'?\n"
        "error: 2 problems\n"
    )


def test_validate_takes_every_kind_of_file(project: Path, orc: Orc) -> None:
    penguins = ROOT / "pipelines" / "penguins"
    (project / "kfp.yaml").write_text("name: echo\nimplementation: {container: {image: busybox, command: [echo]}}\n")
    files = [penguins / "schema.yaml", penguins / "endpoint.yaml", Path("kfp.yaml")]
    told = orc("validate", *map(str, files))
    assert told.returncode == 0, told.stderr
    said = [line.rpartition(": ")[2] for line in told.stdout.splitlines()]
    assert said == ["schema of 9 columns", "endpoint penguins", "component echo"]
    (project / "schema.yaml").write_text(files[0].read_text().replace("columns:", "colums:"))
    broken = orc("validate", "schema.yaml")
    assert broken.returncode == 2
    assert "unknown key 'colums'\n  hint: did you mean 'columns'?" in broken.stderr


def test_what_compile_writes_can_be_run_and_validated(project: Path, orc: Orc) -> None:
    assert orc("compile", "pipeline.yaml", "-o", "out.yaml").returncode == 0
    assert (project / "out.yaml").read_text() == orc("compile", "pipeline.yaml").stdout
    assert orc("validate", "out.yaml").stdout == "out.yaml: compiled pipeline sums\n"
    assert "total  3\n" in orc("run", "out.yaml").stdout
    told = orc("compile", "pipeline.yaml", "-o", "no/such/folder/out.yaml")
    assert (told.returncode, told.stderr) == (5, "error: file: no/such/folder/out.yaml: No such file or directory\n")


def test_graph_draws_text_svg_and_html(project: Path, orc: Orc) -> None:
    assert "two" in orc("graph", "pipeline.yaml").stdout
    assert orc("graph", "pipeline.yaml", "--format", "svg").stdout.lstrip().startswith("<svg")
    assert orc("graph", "pipeline.yaml", "-o", "out.html").returncode == 0
    assert "<html" in (project / "out.html").read_text()
    orc("compile", "pipeline.yaml", "-o", "compiled.yaml")
    assert "two" in orc("graph", "compiled.yaml").stdout
    (project / "compiled.yaml").write_text((project / "compiled.yaml").read_text().replace("name: comp-", "name: no-"))
    told = orc("graph", "compiled.yaml")
    assert told.returncode == 5
    assert told.stderr.startswith("error: IR: there is no component 'no-")


@pytest.mark.parametrize("kind", ["pipeline", "component", "endpoint", "schema"])
def test_schema_prints_json_schema(kind: str, orc: Orc) -> None:
    told = orc("schema", kind)
    assert told.returncode == 0, told.stderr
    data = json.loads(told.stdout)
    assert data["$schema"].startswith("https://json-schema.org/")
    assert {"kind", "metadata"} <= set(data["properties"])


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["rnu"], 2, "error: no such command 'rnu'"),
        (["run"], 2, "error: missing argument 'FILE'\n  hint: orc run --help\n"),
        (["run", "pipeline.yaml", "--arg", "start"], 1, "error: --arg 'start' is not NAME=VALUE"),
        (["run", "pipeline.yaml", "--arg", "a=1", "--arg", "a=2"], 1, "error: --arg a is given twice"),
        (["run", "pipeline.yaml", "--workers", "0"], 2, "error: invalid value for '--workers'"),
        (["run", "pipeline.yaml", "--format", "xml"], 2, "error: invalid value for '--format'"),
        (["run", "none.yaml"], 2, "none.yaml: the file does not exist"),
        (["show"], 4, "error: there is no run 'last'"),
        (["logs", "abc"], 4, "error: there is no run 'abc'"),
        (["resume", "abc"], 4, "error: there is no run 'abc'"),
        (["cancel", "abc"], 4, "error: there is no run 'abc'"),
        (["endpoints", "stop"], 2, "error: invalid value for NAME: give the NAME of an endpoint, or --all"),
        (["endpoints", "stop", "abc"], 4, "error: there is no endpoint 'abc'"),
        (["endpoints", "weights", "abc", "main=1"], 4, "error: there is no endpoint 'abc'"),
        (
            ["endpoints", "weights", "abc", "main"],
            1,
            "error: 'main' is not a variant and its weight\n  hint: for example",
        ),
        (
            ["serve", "--memory", "lots"],
            2,
            "error: invalid value for --memory: 'lots' is not a size: ",
        ),
        (["schema", "run"], 2, "error: invalid value for"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_change_nothing_and_end_with_their_code(
    arguments: list[str], code: int, error: str, project: Path, orc: Orc
) -> None:
    told = orc(*arguments)
    assert told.returncode == code, told.stderr
    assert told.stderr.startswith(error)
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    assert not (project / ".orc" / "state.db").exists()


def test_an_unknown_task_and_an_ambiguous_run(project: Path, orc: Orc) -> None:
    orc("run", "pipeline.yaml")
    orc("run", "pipeline.yaml")
    told = orc("show", "last", "oen")
    assert (told.returncode, told.stderr) == (4, "error: there is no task 'oen'\n  hint: did you mean 'one'?\n")
    assert orc("show", "sums-").stderr == "error: there is no run 'sums-'\n  hint: several runs begin so\n"


def test_a_state_folder_that_cannot_be_written(project: Path, orc: Orc) -> None:
    (project / "file").write_text("")
    told = orc("run", "pipeline.yaml", env={"ORC_STATE": "file"})
    assert told.returncode == 5
    assert "hint: set ORC_STATE to a folder that can be written" in told.stderr
    assert "Traceback" not in told.stderr


def test_nothing_to_list_is_no_error(orc: Orc, tmp_path: Path) -> None:
    assert orc("runs").stdout == f"no runs in {tmp_path / '.orc'} yet; orc run FILE starts one\n"
    assert json.loads(orc("runs", "--format", "json").stdout) == []
    assert orc("endpoints").stdout == "no endpoints; the component `deploy` declares one\n"
    assert json.loads(orc("endpoints", "list", "--format", "json").stdout) == []
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_commands_and_version_says_ours(orc: Orc) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        told = orc(*arguments)
        assert told.returncode == 0
        for name in ("run", "compile", "validate", "graph", "runs", "show", "logs", "resume", "cancel", "serve"):
            assert f"\n  {name} " in told.stdout
    assert orc("version").stdout == orc("--version").stdout
    assert orc("version").stdout.startswith("orc 0.")


def test_a_reader_that_goes_away_is_no_error(project: Path, orc: Orc) -> None:
    orc("run", "pipeline.yaml")
    command = f"{sys.executable} -m orchestrator schema pipeline | head -1; exit ${{PIPESTATUS[0]}}"
    for tried in (command, command.replace("schema pipeline", "show")):
        told = subprocess.run(
            ["bash", "-c", tried], cwd=project, env=environment(), capture_output=True, text=True, check=False
        )
        assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}])
def test_a_terminal_that_knows_no_unicode(locale: dict[str, str], project: Path) -> None:
    for arguments in (["run", "pipeline.yaml"], ["show"], ["runs"], ["logs"]):
        told = subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=project,
            env=environment(**locale),
            capture_output=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        if "PYTHONIOENCODING" in locale:
            assert told.stdout.isascii()


def test_a_bug_is_told_as_one(project: Path) -> None:
    program = "import sys; from orchestrator import cli, settings; settings.read = 1; sys.exit(cli.main(['runs']))"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert told.returncode == 70
    assert "Traceback" in told.stderr
    assert "error: this is a bug in orc" in told.stderr


def test_ctrl_c_while_orc_still_loads_ends_it_without_a_word() -> None:
    program = (
        # A shell lets its background jobs, and so perhaps these tests, ignore Ctrl-C.
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        " sys.addaudithook(lambda event, given: event == 'import' and given[0] == 'typer'"
        " and os.kill(os.getpid(), signal.SIGINT)); from orchestrator.__main__ import main; sys.exit(main())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")


def test_starting_imports_nothing_heavy() -> None:
    program = (
        "import sys; import orchestrator.cli; heavy = {'pandas', 'numpy', 'sklearn', 'mlflow', 'kfp', 'kubernetes',"
        " 'pydantic', 'yaml', 'networkx', 'rich', 'sqlite3', 'asyncio'}; print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_shells_complete_runs_and_tasks(project: Path, orc: Orc) -> None:
    orc("run", "pipeline.yaml")
    run = json.loads(orc("runs", "--format", "json").stdout)[0]["run"]

    def offered(words: str) -> str:
        asked = {"_ORC_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
        return orc(env=asked).stdout

    assert run in offered("orc show ")
    assert "last" in offered("orc logs la")
    assert "two" in offered("orc logs last t")
    assert "resume" in offered("orc re")
