"""A publication that is killed, at any commit or moment, leaves the registry whole, and the next try ends it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from orchestrator import digest, registry
from orchestrator.registry import ModelVersion

ROOT = Path(__file__).parents[2]
Create = Callable[..., ModelVersion]


def kill(*arguments: str) -> None:
    program = [sys.executable, "-m", "tests.registry.killed", *arguments]
    subprocess.run(program, cwd=ROOT, check=True)


def is_whole(state: Path, models: dict[str, str]) -> None:
    """Every version is complete, and so whatever an alias names."""
    found = registry.open(f"sqlite:///{state}/mlflow.db")
    for version in found.versions():
        assert version.approval == "approved"
        assert digest.of(version.path) == models[version.digest]
        assert "publish" in [event.action for event in found.audit("penguins") if event.version == version.version]


def finish(state: Path, model: Path, *, expected: int) -> None:
    """Publish again, and ask MLflow: one version more, one run more, and the aliases where they belong."""
    uri = f"sqlite:///{state}/mlflow.db"
    made = registry.open(uri).create(
        "penguins",
        model=model,
        digest="sha256:new",
        metrics={"f1": 0.97},
        parameters={"seed": 0},
        tags={},
        approval="approved",
        reason="f1 = 0.97 > 0.85",
        run="run-new",
        alias="champion",
    )
    judge = MlflowClient(tracking_uri=uri, registry_uri=uri)
    named = {alias: str(number) for alias, number in judge.get_registered_model("penguins").aliases.items()}
    champion = {"champion": str(expected)}
    assert named == ({**champion, "previous": str(expected - 1)} if expected > 1 else champion)
    assert len(judge.search_model_versions("name='penguins'")) == expected
    runs = judge.search_runs([each.experiment_id for each in judge.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * expected
    events = [
        (event.action, event.alias) for event in registry.open(uri).audit("penguins") if event.version == made.version
    ]
    assert events == [("publish", ""), ("alias", "champion")]
    assert digest.of(made.path) == digest.of(model)
    assert not list(state.glob("models/*/.*"))
    assert not list(state.glob("*.new*"))


def test_killed_at_every_commit(state: Path, create: Create, folder: Callable[[str], Path], tmp_path: Path) -> None:
    create("a")
    contents = {"sha256:a": digest.of(folder("a")), "sha256:new": digest.of(folder("new"))}
    kill(str(state), str(tmp_path), str(folder("new")))
    killed = sorted(tmp_path.glob("commit-*"))
    assert len(killed) > 10
    for each in killed:
        is_whole(each, contents)
        finish(each, folder("new"), expected=2)


def test_killed_at_any_moment(state: Path, create: Create, folder: Callable[[str], Path], tmp_path: Path) -> None:
    create("a")
    contents = {"sha256:a": digest.of(folder("a")), "sha256:new": digest.of(folder("new"))}
    dice = random.Random(2)
    moments = [dice.uniform(0.01, 0.3) for _ in range(6)]
    for number in range(6):
        shutil.copytree(state, tmp_path / f"after-{number}")
    kill("-", str(tmp_path), str(folder("new")), *map(str, moments))
    for each in sorted(tmp_path.glob("after-*")):
        is_whole(each, contents)
        finish(each, folder("new"), expected=2)


def test_killed_while_the_database_is_made(folder: Callable[[str], Path], tmp_path: Path) -> None:
    kill("-", str(tmp_path), str(folder("new")), "0.3", "0.8", "1.1")
    for each in sorted(tmp_path.glob("after-*")):
        is_whole(each, {"sha256:new": digest.of(folder("new"))})
        finish(each, folder("new"), expected=1)
