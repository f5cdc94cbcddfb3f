"""Where a project lies, where `orc` is started, and whose data it is must not matter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Make, Project


def test_a_new_project_runs(new: Make) -> None:
    project = new()
    assert project.orc("init", "iris").code == 0
    folder = project.folder / "iris"
    ended = project.run(cwd=folder)
    assert project.show()["outputs"]["parameters"]["f1"] > 0.8, ended.out
    files = sorted(path.name for path in folder.iterdir())
    assert project.run(cwd=folder).code == 0
    assert {status for name, status in project.statuses().items()} == {"SKIPPED"}
    assert files == sorted(path.name for path in folder.iterdir())


def test_spaces_unicode_and_quotes_in_the_path(new: Make, tmp_path: Path) -> None:
    project = new("penguins")
    folder = tmp_path / "Größe & 'maß' 100% 企鹅 $HOME"
    shutil.move(project.folder, folder)
    moved = Project(folder, folder / ".orc", project.home)
    try:
        for command in (["run", "pipeline.yaml"], ["run", str(folder / "pipeline.yaml")]):
            ended = moved.orc(*command, env={"ORC_STATE": "", "LANG": "C.UTF-8"})
            assert ended.code == 0, ended.text
            curl = next(line for line in ended.out.splitlines() if "curl" in line).partition("curl")[2]
            said = subprocess.run(f"curl{curl}", shell=True, capture_output=True, text=True, timeout=30, check=True)
            assert "predictions" in json.loads(said.stdout)
        assert set(moved.statuses().values()) <= {"SKIPPED", "SUCCEEDED"}
        assert moved.statuses()["train"] == "SKIPPED"
    finally:
        moved.close()


@pytest.fixture
def read_only(new: Make) -> Iterator[Project]:
    """A project in a folder nobody can write to: mounted so for root, whom rights do not stop."""
    project = new()
    assert project.orc("init", ".").code == 0
    folder = project.folder
    commands = [["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]]
    mounted = [subprocess.run(command, check=False).returncode == 0 for command in commands] if not os.geteuid() else []
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    if not mounted:
        for path in folders:
            path.chmod(0o555)
    elif not all(mounted):
        pytest.skip("mounting is not allowed here")
    yield project
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
    for path in folders:
        path.chmod(0o755)


def test_a_read_only_folder(read_only: Project) -> None:
    with pytest.raises(OSError, match=r"Permission denied|Read-only"):
        (read_only.folder / "file").touch()
    ended = read_only.run("--arg", "algorithm=logistic_regression")
    assert "succeeded" in ended.out
    # Without a state folder elsewhere there is one error.
    ended = read_only.orc("run", "pipeline.yaml", env={"ORC_STATE": ""})
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (5, "", 2), ended.text


def test_a_strangers_pipeline_from_another_folder(new: Make, tmp_path: Path) -> None:
    """Thirteen measurements of 178 wines, which nobody looked at while this was built."""
    from sklearn.datasets import load_wine

    table = load_wine(as_frame=True).frame
    table.columns = [name.replace("/", " / ") for name in table.columns]
    table["target"] = [f"Sorte {'ÄÖÜ'[kind]}" for kind in table["target"]]
    project = new()
    (project.folder / "pipeline.yaml").write_text(WINE, encoding="utf-8")
    (project.folder / "schema.yaml").write_text(json.dumps(_schema(table)), encoding="utf-8")
    (project.folder / "endpoint.yaml").write_text(ENDPOINT, encoding="utf-8")
    elsewhere = tmp_path / "where it is typed"
    elsewhere.mkdir()
    table.to_csv(elsewhere / "wine.csv", index=False)
    file = str(project.folder / "pipeline.yaml")
    ended = project.orc("run", file, "--arg", "source=wine.csv", cwd=elsewhere)
    assert ended.code == 0, ended.text
    assert project.show()["outputs"]["parameters"]["f1"] > 0.85
    row = {name: table[name].iloc[0].item() for name in table.columns if name != "target"}
    assert project.predict("wine", row) == ["Sorte Ä"]

    # The same name, other rows: what was made of the old ones is not used.
    def change(data: dict[str, Any]) -> None:
        data["tasks"] = {"ingest": data["tasks"]["ingest"]}
        del data["outputs"]

    file = str(project.folder / project.write("rows.yaml", change))
    for rows, status in ((178, "SKIPPED"), (89, "SUCCEEDED")):
        table.head(rows).to_csv(elsewhere / "wine.csv", index=False)
        assert project.orc("run", file, "--arg", "source=wine.csv", cwd=elsewhere).code == 0
        ingest = project.tasks()["ingest"]
        assert (ingest["status"], ingest["outputs"]["parameters"]["rows"]) == (status, rows)
    # And relative to the pipeline's folder there is no such file.
    assert project.orc("run", file, "--arg", "source=wine.csv").code == 3


def _schema(table: Any) -> dict[str, Any]:
    numbers = {name: {"type": "number", "min": 0} for name in table.columns if name != "target"}
    kinds = {"target": {"type": "string", "domain": sorted(set(table["target"]))}}
    document = {"apiVersion": "orchestrator/v1", "kind": "Schema", "metadata": {"name": "wine"}}
    return {**document, "minRows": 20, "columns": numbers | kinds}


WINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: wine}
parameters: {source: {type: string}}
tasks:
  ingest: {component: ingest, arguments: {source: "${parameters.source}"}}
  validate: {component: validate_schema, arguments: {data: "${tasks.ingest.outputs.train}", schema: schema.yaml}}
  transform:
    component: transform
    after: [validate]
    arguments:
      {data: "${tasks.ingest.outputs.train}", target: target, steps: [{scale: {columns: numeric, method: standard}}]}
  train:
    component: train
    arguments:
      data: ${tasks.ingest.outputs.train}
      transform: ${tasks.transform.outputs.transform}
      target: target
      algorithm: logistic_regression
  evaluate:
    component: evaluate
    arguments: {model: "${tasks.train.outputs.model}", data: "${tasks.ingest.outputs.test}", target: target}
  publish:
    component: publish
    arguments:
      model: ${tasks.train.outputs.model}
      metrics: ${tasks.evaluate.outputs.metrics}
      name: wine
      rules: ["f1 > 0.5"]
  deploy:
    component: deploy
    when: ${tasks.publish.outputs.published}
    arguments: {version: "${tasks.publish.outputs.version}", endpoint: endpoint.yaml}
outputs:
  f1: ${tasks.evaluate.outputs.f1}
"""

ENDPOINT = """\
apiVersion: orchestrator/v1
kind: Endpoint
metadata: {name: wine}
variants: [{name: main, model: wine}]
"""


@pytest.mark.tensorflow
def test_a_keras_model_is_trained_published_and_served(penguins: Project) -> None:
    pytest.importorskip("tensorflow")

    def change(data: dict[str, Any]) -> None:
        hyperparameters = {"epochs": 30, "layers": [16], "learning_rate": 0.02}
        data["tasks"]["train"]["arguments"] |= {"algorithm": "keras", "hyperparameters": hyperparameters}
        data["tasks"]["evaluate"]["arguments"]["baseline"] = "network@champion"
        data["tasks"]["publish"]["arguments"]["name"] = "network"
        data["tasks"]["deploy"]["arguments"]["endpoint"] = penguins.write(
            "network.endpoint.yaml", serve, "endpoint.yaml"
        )

    def serve(data: dict[str, Any]) -> None:
        data["metadata"]["name"] = "network"
        data["variants"] = [{"name": "main", "model": "network"}]

    ended = penguins.run(file=penguins.write("network.yaml", change))
    assert '"predictions"' in ended.out
    assert penguins.published()["models"]["network"] == ([1], {"champion": 1})
    row = {"island": "Biscoe", "bill_length_mm": 46.1, "bill_depth_mm": 13.2, "flipper_length_mm": 211.0}
    assert penguins.predict("network", {**row, "body_mass_g": 4500.0, "sex": "female"}) == ["Gentoo"]
    assert penguins.orc("endpoints", "stop", "network").code == 0


@pytest.mark.parametrize("unset", ["HOME", "LANG", "PATH"])
def test_an_environment_with_little_in_it(penguins: Project, unset: str) -> None:
    environment = {name: value for name, value in penguins.environment().items() if name != unset}
    ended = subprocess.run(
        [Path(sys.executable).parent / "orc", "run", "pipeline.yaml", "--arg", "min_f1=0.1"],
        cwd=penguins.folder,
        env={**environment, "LC_ALL": "C"} if unset == "LANG" else environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b""), ended.stdout + ended.stderr
