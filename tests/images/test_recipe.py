"""What goes into an image is decided before anything is built; its key says when that has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator import runs
from orchestrator.errors import PipelineError
from orchestrator.images import recipe, wanted
from orchestrator.images.code import BUILTIN, Program
from orchestrator.images.recipe import Choices
from orchestrator.images.wanted import MLFLOW, SERVER, Wanted

CHOICES = Choices("python:3.11")


def mine(project, **more):
    return recipe.make(Wanted("own/mine", (Program("components.mine", project.folder),)), CHOICES, **more)


def requirements(made):
    return made.texts["requirements.txt"].splitlines()


def test_the_images_of_a_pipeline(project):
    project.component("one", image="own/both")
    project.component("two", image="own/both")
    project.component("given", image="ghcr.io/acme/given:3")
    project.write({"components/shell/component.yaml": SHELL})
    loaded = runs.load(project.pipeline("one", "two", "given", "shell"))
    found = wanted.of(loaded.pipeline, loaded.code_paths)
    assert found.given == ("busybox", "ghcr.io/acme/given:3")
    assert [(each.name, [one.module for one in each.programs]) for each in found.wanted] == [
        ("own/both", ["components.one", "components.two"])
    ]


SHELL = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: shell}
container: {image: busybox, command: [sh, -c, "true"]}
"""


def test_requirements_are_those_of_its_programs_and_what_ours_needs(project):
    project.component(
        "mine", requirements_dot_txt="# what it needs\nrequests>=2 # for http\n\nduckdb==1.1 \\\n  --hash=sha256:12\n"
    )
    assert requirements(mine(project, packages=["xgboost"])) == [
        "duckdb==1.1 --hash=sha256:12",
        "pydantic>=2.12,<3",
        "pyyaml>=6.0.2,<7",
        "requests>=2",
        "xgboost",
    ]


@pytest.mark.parametrize(
    "line", ["-r other.txt", "-e .", "./wheel.whl", "mine @ file:///x", "--constraint c.txt", "../x"]
)
def test_requirements_that_name_files_are_refused(project, line):
    project.component("mine", requirements_dot_txt=f"requests\n\n{line}\n")
    with pytest.raises(PipelineError, match=r"requirements.txt:3:1: .* names what is not in the image"):
        mine(project)


def test_equal_content_has_an_equal_key(project):
    project.component("mine")
    assert mine(project).key == mine(project).key == recipe.keyed(mine(project)).key


@pytest.mark.parametrize(
    "change",
    [
        lambda project: project.component("mine", __main___dot_py="x = 1"),
        lambda project: project.component("mine", requirements_dot_txt="requests"),
        lambda project: project.component("mine", more_dot_txt=""),
        lambda project: (
            project.component("mine", __main___dot_py="import shared\n") or project.write({"shared.py": ""})
        ),
    ],
)
def test_what_goes_in_changes_the_key(project, change):
    project.component("mine")
    before = mine(project).key
    change(project)
    assert mine(project).key != before


def test_what_stays_outside_does_not_change_the_key(project):
    project.component("mine")
    before = mine(project).key
    project.component("other")
    project.write({"components/mine/__pycache__/x.pyc": "", "data/x.csv": "", "components/mine/secrets.yaml": ""})
    assert mine(project).key == before


def test_base_platform_and_packages_change_the_key(project):
    project.component("mine")
    made = mine(project)
    others = [Choices("python:3.12"), Choices("python:3.11", "linux/arm64")]
    keys = {recipe.keyed(replace(made, choices=each)).key for each in others}
    assert len({made.key, *keys, mine(project, packages=["requests"]).key}) == 4


def test_servers_have_code_requirements_and_versions_of_their_own():
    server, mlflow = (recipe.make(Wanted(kind, kind=kind), CHOICES) for kind in (SERVER, MLFLOW))
    assert "uvicorn[standard]>=0.34,<1" in requirements(server)
    assert "code/orchestrator/serving/app.py" in server.copies
    assert any(line.startswith("psycopg2") for line in requirements(mlflow))
    assert not [path for path in mlflow.copies if path.startswith("code/orchestrator")]
    assert server.copies["locked.txt"] != mlflow.copies["locked.txt"]


def test_our_components_come_from_the_package():
    made = recipe.make(Wanted("orchestrator/train", (Program("components.train", BUILTIN),)), CHOICES)
    assert "code/components/train/__main__.py" in made.copies
    assert "scikit-learn>=1.5.2,<1.10" in requirements(made)


def test_the_usual_base_is_a_version_and_no_moving_tag():
    assert recipe.default_base().startswith("python:3.11.")
