"""Components written as a function, and components with requirements: run for real, in environments made for them."""

# No postponed annotations here: the SDK reads them as they are.
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import runs, settings
from orchestrator.runners.events import Event, RunFinished, TaskFinished

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import compiler, dsl

    @dsl.component(base_image="python:3.11", packages_to_install=["tiny_thing==1.0"])
    def first() -> str:
        import sys

        import tiny_thing

        return f"{tiny_thing.VALUE} {sys.prefix}"

    @dsl.component(base_image="python:3.11", packages_to_install=["tiny_thing==2.0"])
    def second(told: str) -> str:
        import sys

        import tiny_thing

        return f"{tiny_thing.VALUE} {sys.prefix}"

    @dsl.component(base_image="python:3.11")
    def around() -> dict:
        import importlib.util
        import os
        import shutil
        import subprocess
        import sys

        pip = subprocess.run(["pip", "install", "tiny_thing"], capture_output=True, text=True, check=False)
        return {
            "path": os.environ["PATH"].split(os.pathsep)[0],
            "virtual": os.environ.get("VIRTUAL_ENV", ""),
            "prefix": sys.prefix,
            "python": shutil.which("python"),
            "search": os.environ.get("PYTHONPATH", ""),
            "runtime": os.environ.get("_KFP_RUNTIME", ""),
            "seen": [name for name in ("orchestrator", "pydantic", "components") if importlib.util.find_spec(name)],
            "pip": pip.returncode,
        }

    @dsl.component(base_image="python:3.11", packages_to_install=["no_such_thing==1.0"])
    def missing() -> str:
        return "never"

    @dsl.component(base_image="python:3.11", install_kfp_package=False)
    def image_has_it() -> str:
        import sys

        return sys.prefix

    @dsl.component(base_image="python:3.11")
    def lacks():
        import tiny_thing

        print(tiny_thing.VALUE)

    @dsl.component(base_image="python:3.11", install_kfp_package=False, packages_to_install=["tiny_thing==2.0"])
    def image_has_kfp() -> str:
        import sys

        import tiny_thing

        return f"{tiny_thing.VALUE} {sys.prefix}"

    @dsl.component(base_image="python:3.11", packages_to_install=["tiny_thing==2.0"], use_venv=True)
    def in_a_venv() -> str:
        import tiny_thing

        return str(tiny_thing.VALUE)

    @dsl.container_component
    def installs(value: dsl.OutputPath(str)):
        program = "import sys, tiny_thing; open(sys.argv[1], 'w').write(f'{tiny_thing.VALUE} {sys.prefix}')"
        script = 'pip install --quiet tiny_thing==1.0 && python -c "$0" "$1"'
        return dsl.ContainerSpec(image="python:3.11", command=["sh", "-c", script], args=[program, value])

    @dsl.pipeline(name="two")
    def two() -> str:
        return second(told=first().output).output

    def pipeline_of(component: Callable[..., Any]) -> Any:
        @dsl.pipeline(name=component.name.replace("_", "-"))
        def one():
            component()

        return one


class Place:
    """A folder of a project, in which pipelines are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []

    def run(self, pipeline: Any, *, cold: bool = True, cache: bool = False) -> "Place":
        file = pipeline
        if not isinstance(pipeline, Path):
            file = self.folder / "compiled.yaml"
            compiler.Compiler().compile(pipeline, str(file))
        read = settings.read({**os.environ, "ORC_STATE": str(self.folder / "state")}, self.folder)
        self.events = list(runs.start(file, {}, read, runs.Options(cold=cold, cache=cache)))
        return self

    @property
    def tasks(self) -> Mapping[str, TaskFinished]:
        return {each.task.name: each for each in self.events if isinstance(each, TaskFinished)}

    @property
    def status(self) -> str:
        last = self.events[-1]
        assert isinstance(last, RunFinished)
        return str(last.status)

    def value(self, task: str, name: str = "Output") -> Any:
        assert self.tasks[task].reason == ""
        return self.tasks[task].outputs.parameters[name]

    def log(self, task: str) -> str:
        return Path(self.tasks[task].log).read_text()


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_task_has_the_packages_it_asked_for(at: Place, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at.run(two)
    (one, home), (other, away) = (at.value(task).split(maxsplit=1) for task in ("first", "second"))
    assert (one, other) == ("1", "2")
    assert Path(home).parent == Path(away).parent == offline
    assert home != away
    assert "::progress 0/2 installing tiny-thing==1.0, kfp==" in at.log("first")
    # The next run, of any project, installs nothing and needs nothing to install from.
    for each in ("PIP_FIND_LINKS", "UV_CACHE_DIR"):
        monkeypatch.setenv(each, "/no/such/folder")
    at.run(two)
    assert at.value("second") == f"2 {away}"
    assert "::progress" not in at.log("first")
    assert "uv:" not in at.log("second")


def test_a_task_sees_its_environment_and_nothing_of_ours(at: Place, offline: Path) -> None:
    told = at.run(pipeline_of(around)).value("around")
    assert Path(told["prefix"]).parent == offline
    assert told["virtual"] == told["prefix"]
    assert told["path"] == f"{told['prefix']}/bin"
    assert told["python"] == f"{told['prefix']}/bin/python"
    assert told["runtime"] == "true"
    assert told["search"] == ""
    assert told["seen"] == []
    assert told["pip"] != 0  # Neither the shared environment nor that of the system is changed.


def test_what_cannot_be_installed_is_named(at: Place) -> None:
    at.run(pipeline_of(missing))
    assert at.status == "FAILED"
    assert at.tasks["missing"].reason.startswith("no-such-thing==1.0 cannot be installed: ")
    assert "no-such-thing" in at.tasks["missing"].reason.partition(": ")[2]


def test_where_to_ask_for_a_package_that_is_not_there(at: Place, offline: Path) -> None:
    at.run(pipeline_of(lacks))
    missing = "exit code 1: ModuleNotFoundError: No module named 'tiny_thing'"
    assert at.tasks["lacks"].reason == f"{missing}: add it to packages_to_install"


def test_without_an_installation_it_runs_where_orc_does(at: Place, offline: Path) -> None:
    assert at.run(pipeline_of(image_has_it)).value("image-has-it") == sys.prefix
    value, home = at.run(pipeline_of(image_has_kfp)).value("image-has-kfp").split(maxsplit=1)
    assert value == "2"
    assert Path(home).parent == offline


def test_an_environment_inside_the_image_is_ours(at: Place) -> None:
    assert at.run(pipeline_of(in_a_venv)).value("in-a-venv") == "2"


def test_a_command_that_installs_by_itself_does_so_in_an_environment_of_its_own(at: Place, offline: Path) -> None:
    at.run(pipeline_of(installs))
    value, home = at.value("installs", "value").split(maxsplit=1)
    assert value == "1"
    assert Path(home).is_relative_to(at.folder / "state" / "runs")
    assert not list(offline.glob("*")) if offline.exists() else True


def test_other_packages_are_another_task_to_the_cache(at: Place) -> None:
    at.run(pipeline_of(in_a_venv), cache=True)
    at.run(pipeline_of(in_a_venv), cache=True)
    assert str(at.tasks["in-a-venv"].status) == "SKIPPED"
    text = (at.folder / "compiled.yaml").read_text()
    (at.folder / "other.yaml").write_text(text.replace("tiny_thing==2.0", "tiny_thing==1.0"))
    at.run(at.folder / "other.yaml", cache=True)
    assert at.value("in-a-venv") == "1"


COMPONENT = """
apiVersion: orchestrator/v1
kind: Component
metadata: {name: told}
outputs: {value: {type: struct}}
container: {image: x, command: [python, -m, components.told]}
"""
PIPELINE = """
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: own}
tasks: {told: {component: told}}
"""
PROGRAM = """
import importlib.util, sys
import tiny_thing
from orchestrator import program

def main(task):
    seen = [name for name in ("pytest", "kfp", "components.train") if importlib.util.find_spec(name)]
    task.set("value", {"value": tiny_thing.VALUE, "prefix": sys.prefix, "seen": seen})

if __name__ == "__main__":
    program.run(__file__, main)
"""


@pytest.fixture
def ours(shelf: Any) -> None:
    """What orchestrator itself needs, from what is installed here."""
    todo = ["networkx", "pydantic", "pyyaml", "rich", "typer"]
    for name in todo:
        todo += [each for each in shelf.add_installed(name) if each not in todo]


def test_a_component_with_requirements_has_an_environment_of_them(at: Place, ours: None, offline: Path) -> None:
    folder = at.folder / "components" / "told"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / "requirements.txt").write_text("# what it needs\ntiny_thing==1.0\n")
    file = at.folder / "pipeline.yaml"
    file.write_text(PIPELINE)
    told = at.run(file, cache=True).value("told", "value")
    assert told["value"] == 1
    assert Path(told["prefix"]).parent == offline
    assert told["seen"] == []
    assert str(at.run(file, cache=True).tasks["told"].status) == "SKIPPED"
    # Other requirements are other code: the task runs again, in another environment.
    (folder / "requirements.txt").write_text("tiny_thing==2.0\n")
    assert at.run(file, cache=True).value("told", "value")["value"] == 2
    (folder / "requirements.txt").write_text("")
    at.run(file)
    assert at.tasks["told"].reason.endswith("'tiny_thing': add it to components/told/requirements.txt")
    (folder / "requirements.txt").write_text("-r more.txt\n")
    at.run(file)
    assert "requirements.txt:1: '-r' is not supported" in at.tasks["told"].reason


def test_environments_are_made_ahead(at: Place, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.Compiler().compile(two, str(at.folder / "two.yaml"))

    def orc(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "environments", *words],
            cwd=at.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert orc("make", "two.yaml").count("made: ") == 2
    assert orc("make", "two.yaml").count("ready: ") == 2
    listed = json.loads(orc("list", "--format", "json"))
    assert [each["packages"].partition(",")[0] for each in listed] == ["tiny-thing==1.0", "tiny-thing==2.0"]
    monkeypatch.setenv("PIP_FIND_LINKS", "/no/such/folder")
    assert at.run(two).value("second").startswith("2 ")
    assert orc("remove", listed[0]["name"][:8]).startswith("removed ")
    assert orc("remove", "--all").count("removed ") == 1
