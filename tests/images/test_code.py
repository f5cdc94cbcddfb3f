"""An image holds its program, what that imports from beside it, and no other code."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import PipelineError
from orchestrator.images import code
from orchestrator.images.code import BUILTIN, Program


def held(root: Path, module: str) -> list[str]:
    found = code.files([Program(module, root)])
    return [path for path in found if not path.startswith("orchestrator/")]


def test_what_is_imported_from_beside_it_comes_along(project):
    project.component("mine", __main___dot_py="from components.shared import words\n", data_dot_csv="1\n")
    project.component("other")
    project.write(
        {
            "components/shared/__init__.py": "",
            "components/shared/words.py": "import lone\n",
            "components/shared/table.txt": "x",
            "lone.py": "",
            "unused.py": "",
            "data/large.csv": "1",
        }
    )
    assert held(project.folder, "components.mine") == [
        "components/mine/__main__.py",
        "components/mine/component.yaml",
        "components/mine/data.csv",
        "components/shared/__init__.py",
        "components/shared/table.txt",
        "components/shared/words.py",
        "lone.py",
    ]


def test_of_another_component_only_the_modules_that_are_named(project):
    project.component("mine", __main___dot_py="def f():\n    from components.other import small\n")
    project.component("other", __init___dot_py="", small_dot_py="", heavy_dot_py="import torch")
    assert held(project.folder, "components.mine") == [
        "components/mine/__main__.py",
        "components/mine/component.yaml",
        "components/other/__init__.py",
        "components/other/small.py",
    ]


def test_relative_imports_are_followed(project):
    project.component("mine", __main___dot_py="from ..shared import a\nfrom . import b\n", b_dot_py="")
    project.write({"components/shared/__init__.py": "", "components/shared/a.py": ""})
    assert "components/shared/a.py" in held(project.folder, "components.mine")


def test_parts_of_ours_that_a_user_imports_come_along(project):
    project.component("mine", __main___dot_py="from components.tables import dataset\n")
    found = held(project.folder, "components.mine")
    assert "components/tables/dataset.py" in found
    assert "components/train/train.py" not in found


def test_a_program_below_any_other_folder(project):
    project.write({"own/mine/__main__.py": "", "own/mine/component.yaml": "", "own/other/x.py": ""})
    assert held(project.folder / "own", "mine") == ["mine/__main__.py", "mine/component.yaml"]


def test_a_folder_that_shares_the_name_of_a_package_is_not_taken_for_it(project):
    project.component("mine", __main___dot_py="import kubernetes\nimport numpy as np\n")
    project.write({"kubernetes/deployment.yaml": "kind: Deployment"})
    assert held(project.folder, "components.mine") == ["components/mine/__main__.py", "components/mine/component.yaml"]


def test_a_circle_of_imports_ends(project):
    project.component("mine", __main___dot_py="from components.one import x")
    project.write(
        {
            "components/one/__init__.py": "from components.two import y",
            "components/two/__init__.py": "import components.one",
        }
    )
    assert "components/two/__init__.py" in held(project.folder, "components.mine")


def test_what_is_ignored_stays_outside(project):
    project.component("mine", secrets_dot_yaml="password", kept_dot_txt="", large_dot_bin="")
    project.write(
        {".dockerignore": "**/*.bin\n", "components/mine/__pycache__/x.pyc": "", "components/mine/.env": "A=1"}
    )
    assert held(project.folder, "components.mine") == [
        "components/mine/__main__.py",
        "components/mine/component.yaml",
        "components/mine/kept.txt",
    ]


def test_a_link_to_outside_is_refused_with_its_place(project, tmp_path):
    project.component("mine")
    (tmp_path / "key").write_text("secret")
    (project.folder / "components/mine/key").symlink_to(tmp_path / "key")
    with pytest.raises(PipelineError, match=r"components/mine/key: it is a link to outside of the code"):
        held(project.folder, "components.mine")


def test_what_is_no_python_is_told_with_its_line(project):
    project.component("mine", __main___dot_py="x = 1\ndef f(:\n")
    with pytest.raises(PipelineError, match=r"__main__.py:2:1: it is no Python"):
        held(project.folder, "components.mine")


def test_no_image_holds_the_command_line():
    listed = code.files([Program("components.train", BUILTIN)])
    assert not [path for path in listed if path.startswith(("orchestrator/cli", "orchestrator/images"))]
    assert "orchestrator/program.py" in listed


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["python", "-m", "components.mine"], "components.mine"),
        (["python3", "-u", "-m", "components.mine", "--x"], "components.mine"),
        (["/opt/venv/bin/python", "-m", "components.mine"], "components.mine"),
        (["python", "-m", "pip"], ""),
        (["sh", "-c", "python -m components.mine"], ""),
        (["python", "components/mine"], ""),
        (["python", "-m"], ""),
        ([], ""),
    ],
)
def test_a_command_names_a_module_that_is_here(project, words, module):
    project.component("mine")
    found = code.program(words, [project.folder, BUILTIN])
    assert (found.module if found else "") == module
