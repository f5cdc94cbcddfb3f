"""`orc` as a process, about runs that were: logs, show, cache, diff, artifacts, timeline, gc."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import environment
from tests.cli.test_going_on import Started, start, wait_for
from tests.cli.test_terminal import Terminal

if TYPE_CHECKING:
    from tests.cli.conftest import Orc

__all__ = ["start"]

SHELL = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: shell}
inputs: {code: {type: string}}
outputs: {out: {type: Dataset}}
container: {image: shell, command: [sh, -c], args: [CODE, "{{$.inputs.parameters['code']}}", OUT]}
"""


@pytest.fixture
def shell(project: Path) -> Path:
    """The project with a component that runs what it is given, with `$1` to write to."""
    (project / "components" / "shell").mkdir()
    text = SHELL.replace("CODE", "'eval \"$0\"'").replace("OUT", "\"{{$.outputs.artifacts['out'].path}}\"")
    (project / "components" / "shell" / "component.yaml").write_text(text)
    return project


def pipeline(folder: Path, tasks: str, name: str = "shells") -> None:
    (folder / f"{name}.yaml").write_text(
        f"apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\ntasks:\n{tasks}"
    )


def ids(orc: Orc) -> list[str]:
    """The runs, the earliest first."""
    return [run["run"] for run in json.loads(orc("runs", "--format", "json").stdout)][::-1]


def test_logs_are_followed_through_every_attempt(shell: Path, orc: Orc, start: Started) -> None:
    code = "echo begins; test -e ../tried && echo well && echo x > $1 && exit; touch ../tried; sleep 1; exit 3"
    other = "for i in 1 2 3 4; do echo tick $i; sleep 0.5; done; printf unfinished; echo x > $1"
    pipeline(
        shell,
        f"  again: {{component: shell, retry: {{attempts: 2}}, arguments: {{code: '{code}'}}}}\n"
        f"  longer: {{component: shell, arguments: {{code: '{other}'}}}}\n",
    )
    run = start("run", "shells.yaml")
    wait_for(lambda: any((shell / ".orc" / "runs").glob("*/longer/log.txt")))
    followed = orc("logs", "--follow", timeout=60)
    run.communicate(timeout=60)
    assert followed.returncode == 0, followed.stderr
    by_task: dict[str, list[str]] = {}
    for line in followed.stdout.splitlines():
        name, _, text = line.partition(" | ")
        by_task.setdefault(name.strip(), []).append(text)
    assert by_task == {
        "again": ["begins", "begins", "well"],
        "longer": ["tick 1", "tick 2", "tick 3", "tick 4", "unfinished"],
    }
    assert orc("logs", "last", "again", "-f").stdout == "begins\nbegins\nwell\n"
    assert orc("logs", "last", "longer", "-n", "2").stdout == "tick 4\nunfinished"
    assert orc("logs", "last", "longer", "-n", "0").stdout == ""
    assert "attempts\n  1  " in orc("show", "last", "again").stdout


def test_following_a_task_ends_with_it(shell: Path, orc: Orc, start: Started) -> None:
    pipeline(
        shell,
        "  short: {component: shell, arguments: {code: 'echo one; sleep 1; echo two; echo x > $1'}}\n"
        "  long: {component: shell, arguments: {code: 'sleep 30'}}\n",
    )
    run = start("run", "shells.yaml")
    wait_for(lambda: any((shell / ".orc" / "runs").glob("*/short/log.txt")))
    began = time.monotonic()
    assert orc("logs", "last", "short", "-f").stdout == "one\ntwo\n"
    assert time.monotonic() - began < 20
    assert run.poll() is None
    orc("cancel")
    run.communicate(timeout=60)


def test_a_log_of_100_mb_is_not_read_into_memory(shell: Path, orc: Orc) -> None:
    pipeline(shell, "  talk: {component: shell, arguments: {code: 'echo first; echo x > $1'}}\n")
    orc("run", "shells.yaml")
    log = next((shell / ".orc" / "runs").glob("*/talk/log.txt"))
    with log.open("ab") as file:
        line = b"y" * 99 + b"\n"
        for _ in range(100):
            file.write(line * 10_000)
        file.write(b"z" * 3_000_000 + b"\n::progress 1/2 no line\nlast\n")
    limit = 400 * 1024 * 1024
    for arguments, size in (([], 103_000_012), (["--lines", "1"], 5), (["-f", "-n", "3"], 3_000_106)):
        with (shell / "said").open("wb") as said:
            done = subprocess.run(
                [sys.executable, "-m", "orchestrator", "logs", "last", "talk", *arguments],
                cwd=shell, env=environment(), stdout=said, stderr=subprocess.PIPE, check=False, timeout=100,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit // 4, limit)),
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (shell / "said").stat().st_size == size, arguments


def test_cache_explain_list_and_clear(project: Path, orc: Orc) -> None:
    assert orc("cache", "list").stdout == f"the cache of {project / '.orc'} is empty\n"
    orc("run", "pipeline.yaml")
    orc("run", "pipeline.yaml", "-a", "start=5")
    first, second = ids(orc)
    told = orc("cache", "explain", "one").stdout.splitlines()
    assert told[:2] == [f"one  run {second}", "  missed: parameter 'left' was 1, is 5"]
    assert told[2].startswith(f"  compared with run {first}, ")
    assert "no earlier run" in orc("cache", "explain", "one", first).stdout
    data = json.loads(orc("cache", "explain", "two", second, "--format", "json").stdout)[0]
    assert (data["verdict"], data["compared_with"]["run"]) == ("missed", first)
    assert data["changes"] == [{"part": "parameter left", "was": "2", "now": "6"}]
    assert orc("cache", "explain", "tow").returncode == 4
    assert len(json.loads(orc("cache", "list", "--format", "json").stdout)) == 4
    assert orc("cache", "clear", "one").stdout == "forgot 2 entries of one\n"
    assert orc("cache", "clear", "one").returncode == 4
    orc("run", "pipeline.yaml")
    assert "its entry was removed by then" in orc("cache", "explain", "one").stdout
    assert "hit: everything is as it was in run" in orc("cache", "explain", "two").stdout


def test_diff_artifacts_and_timeline(shell: Path, orc: Orc) -> None:
    code = 'echo "$WORD" > $1'
    pipeline(shell, f"  make: {{component: shell, arguments: {{code: '{code} # one'}}}}\n")
    orc("run", "shells.yaml")
    more = "  more: {component: add, arguments: {left: 1}}\n"
    pipeline(shell, f"  make: {{component: shell, arguments: {{code: '{code} # two'}}}}\n{more}")
    assert orc("run", "shells.yaml").returncode == 0
    first, second = ids(orc)
    told = orc("diff", first).stdout
    assert "pipeline\n  task more was added\n  task make: argument 'code' changed from " in told
    assert f"outputs and metrics  {first}  {second}  change\nmore.sum" in told
    assert "artifacts: the same (1)" in told
    assert "make.out" in orc("diff", first, second, "--all").stdout
    data = json.loads(orc("diff", first, second, "--format", "json").stdout)
    assert [row["name"] for row in data["tasks"]] == ["make", "more"]
    same = orc("diff", second, second).stdout
    assert "pipeline: the same" in same
    assert "tasks: the same (2)" in same
    listed = json.loads(orc("artifacts", "--format", "json").stdout)
    assert [(each["task"], each["output"], each["type"]) for each in listed] == [("make", "out", "system.Dataset")]
    (shell / "copy").write_text("\n")
    by_path = orc("artifacts", "--of", "copy").stdout
    assert by_path == orc("artifacts", "--of", listed[0]["digest"][:10]).stdout
    assert f"made by  make.out of run {first}" in by_path
    assert orc("artifacts", "--type", "Model").stdout == f"run {second} made no artifacts of type Model\n"
    assert orc("artifacts", "--of", "ffffffff").returncode == 4
    assert "make" in orc("timeline").stdout
    assert orc("timeline", first, "-o", "out.html").returncode == 0
    assert "<svg" in (shell / "out.html").read_text()


def test_gc_says_what_goes_and_what_it_would(project: Path, orc: Orc) -> None:
    assert orc("gc").stdout == f"nothing ran in {project / '.orc'} yet, so nothing is to be removed\n"
    orc("run", "pipeline.yaml")
    orc("run", "pipeline.yaml", "-a", "start=5")
    first, second = ids(orc)
    assert orc("gc").stdout == "nothing to remove\n"
    assert orc("gc", "--keep-runs", "1", "--older-than", "1d").stdout == "nothing to remove\n"
    would = orc("gc", "--keep-runs", "1", "--dry-run").stdout
    assert would.startswith(f"would forget run {first}\nwould remove 1 run, 2 cache entries, 1 folder: ")
    assert ids(orc) == [first, second]
    assert orc("gc", "--keep-runs", "1").stdout == would.replace("would forget", "forgot").replace(
        "would remove", "removed"
    )
    assert ids(orc) == [second]
    assert json.loads(orc("gc", "--format", "json").stdout)["artifacts"] == 0
    assert orc("gc", "--older-than", "soon").returncode == 2


def test_everything_fits_80_columns(shell: Path, orc: Orc) -> None:
    pipeline(
        shell,
        "  a_task_with_a_long_name: {component: shell, arguments: {code: 'echo one > $1'}}\n"
        "  another: {component: add, arguments: {left: 1}}\n",
    )
    orc("run", "shells.yaml")
    orc("run", "shells.yaml", "--no-cache")
    first = ids(orc)[0]
    for arguments in (
        ["show"], ["show", "last", "another"], ["diff", first], ["diff", first, "--all"], ["artifacts"],
        ["timeline"], ["cache", "list"], ["cache", "explain", "another"], ["gc", "--keep-runs", "1", "--dry-run"],
    ):  # fmt: skip
        terminal = Terminal(*arguments, cwd=shell)
        terminal.until("")
        lines = terminal.seen.replace("\r", "").splitlines()
        assert terminal.process.wait(10) == 0, terminal.seen
        assert max(len(plain(line)) for line in lines) <= 80, (arguments, terminal.seen)


def plain(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)
