"""Awkward surroundings: names that shells and URIs would trip over, a home nobody can write to, a great many tasks."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from orchestrator import runs
from orchestrator.errors import RunError
from orchestrator.runners.events import Status, TaskFinished
from tests.runners.conftest import Project

ROOT = Path(__file__).parents[2]
NAMES = [
    "two words",
    "größe 数据 🐧",
    unicodedata.normalize("NFD", "größe"),
    "#1 ?a=b&c 100% %41 a+b;c",
    'it\'s "quoted" \\ `id` $HOME $(id) *',
    "--cold",
    "line\nbreak",
]


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("name", NAMES)
def test_folders_and_files_of_any_name(project, name, cold):
    """The folder of the project and with it its state, the pipeline's file, a file of data, a component's folder."""
    folder = project.folder / name
    project.component("copy", "put('out', open(a['data']).read())", {"data": "Dataset"}, {"out": "Dataset"})
    (project.folder / "components").rename(project.folder / "kept")
    folder.mkdir()
    (project.folder / "kept").rename(folder / "components")
    inside = Project(folder)
    (folder / name).write_text("of any name")
    told = json.dumps(name, ensure_ascii=False)
    inside.pipeline(
        f"""
tasks:
  one: {{component: copy, arguments: {{data: {told}}}}}
  each: {{component: write, foreach: [{told}, b], arguments: {{text: "${{item}}"}}}}
  two: {{component: read, arguments: {{data: "${{tasks.one.outputs.out}}"}}}}
outputs: {{text: "${{tasks.two.outputs.out}}"}}
""",
        f"{name}.yaml",
    )
    ran = inside.run(f"{name}.yaml", cold=cold, run="größe 1.a_b-c")
    assert ran.outputs == {"text": "of any name"}, ran.end
    assert ran.file("each[0]") == name
    again = inside.run(f"{name}.yaml", cold=cold, wish=runs.Wish(resume="größe 1.a_b-c"))
    assert set(again.statuses.values()) == {"SKIPPED"}
    with pytest.raises(RunError, match="is complete"):
        inside.resume("größe 1.a_b-c")


def test_commands_take_names_with_spaces_and_unicode(project):
    folder = project.folder / "größe 1"
    folder.mkdir()
    (project.folder / "components").rename(folder / "components")
    Project(folder).pipeline("tasks: {say: {component: echo, arguments: {text: x}}}\n", "mein plan ä.yaml")
    for argument in (
        ["run", "mein plan ä.yaml"],
        ["runs"],
        ["show"],
        ["logs", "last", "say"],
        ["compile", "mein plan ä.yaml"],
    ):
        done = orc(folder, *argument, LC_ALL="C", COLUMNS="80")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def orc(folder: Path, *arguments: str, bound: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TRACE") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        preexec_fn=give_up if bound else None,
    )


def give_up() -> None:
    """Let even root be held to what a folder permits: without the capabilities to overlook it."""
    prctl = ctypes.CDLL(None).prctl
    for capability in (1, 2):
        prctl(24, capability, 0, 0, 0)


def test_a_home_that_cannot_be_written_to(project):
    home = project.folder / "home"
    home.mkdir()
    home.chmod(0o555)
    check = f"import sys; open({str(home / 'x')!r}, 'w')"
    assert subprocess.run(
        [sys.executable, "-c", check], check=False, stderr=subprocess.DEVNULL, preexec_fn=give_up
    ).returncode, "the home can be written to"
    project.pipeline(
        "tasks:\n  say: {component: echo, arguments: {text: x}}\n"
        "  end: {component: mark, after: [say], arguments: {text: y}}\n"
    )
    for argument in (
        ["run", "pipeline.yaml"],
        ["show"],
        ["logs", "last", "say"],
        ["environments"],
        ["run", "pipeline.yaml"],
    ):
        done = orc(project.folder, *argument, bound=True, HOME=str(home))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ermission" not in done.stdout + done.stderr
    assert project.trace == ["y"]
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_a_state_folder_that_cannot_be_written_to_is_told(project, cold):
    state = project.folder / ".orc"
    state.mkdir()
    state.chmod(0o555)
    project.pipeline("tasks: {say: {component: echo, arguments: {text: x}}}\n")
    done = orc(project.folder, "run", "pipeline.yaml", *(["--cold"] if cold else []), bound=True)
    assert done.returncode not in (0, 3), done
    assert "set ORC_STATE to a folder that can be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_thousand_iterations(project):
    """Once each, in order, in seconds, and without keeping anything of them in mind but what they gave."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    project.component("once", "trace(a['text']); put('out', a['text'])", {"text": "string"}, {"out": "string"})
    project.pipeline("""
parameters: {items: {type: list}}
tasks:
  each: {component: once, foreach: "${parameters.items}", arguments: {text: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    items = [f"n{number}" for number in range(1000)]
    ran = project.run(items=items, cache=False)
    assert ran.status is Status.SUCCEEDED, ran.end
    assert ran.outputs == {"all": items}
    assert sorted(project.trace) == sorted(items)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_chain_of_five_hundred(project):
    project.component("next", "put('out', str(int(a['n']) + 1))", {"n": "integer"}, {"out": "integer"})
    chain = "".join(
        f'  t{n}: {{component: next, arguments: {{n: "${{tasks.t{n - 1}.outputs.out}}"}}}}\n' for n in range(1, 500)
    )
    project.pipeline(
        f"tasks:\n  t0: {{component: next, arguments: {{n: 0}}}}\n{chain}"
        "outputs: {n: '${tasks.t499.outputs.out}'}\n"
    )
    ran = project.run(cache=False)
    assert ran.outputs == {"n": 500}
    assert len(ran.events) == 2 + 2 * 500
    ends = [event.task.name for event in ran.events if isinstance(event, TaskFinished)]
    assert ends == [f"t{n}" for n in range(500)]
