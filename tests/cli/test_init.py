"""`orc init`: a project that runs at once, and never over somebody's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Orc


def test_a_new_project_validates_and_runs(orc: Orc, tmp_path: Path) -> None:
    made = orc("init", "iris")
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("now: cd iris && orc run pipeline.yaml\n")
    project = tmp_path / "iris"
    assert ".orc/" in (project / ".gitignore").read_text()

    checked = orc("validate", "pipeline.yaml", "components/clean/component.yaml", cwd=project)
    assert checked.stdout.startswith("pipeline.yaml: pipeline iris, 4 tasks\n"), checked.stderr

    ran = orc("run", "pipeline.yaml", cwd=project, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\n  dropped  1\n" in ran.stdout
    assert "\nreports\n  evaluate  .orc/artifacts/" in ran.stdout
    assert "kept 149 of 150 rows" in orc("logs", "last", "clean", cwd=project).stdout


def test_files_that_are_there_are_listed_and_left_alone(orc: Orc, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("mine")
    (tmp_path / "README.md").symlink_to("nowhere")
    told = orc("init")
    assert told.returncode == 1
    assert told.stdout == ""
    assert "these files are there already" in told.stderr
    assert "pipeline.yaml\n" in told.stderr
    assert "README.md\n" in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "pipeline.yaml"]
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"


def test_a_folder_that_is_a_file(orc: Orc, tmp_path: Path) -> None:
    (tmp_path / "iris").write_text("")
    told = orc("init", "iris")
    assert told.returncode == 5
    assert "Traceback" not in told.stderr
