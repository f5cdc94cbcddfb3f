"""What an alias points to, told without MLflow's client: always what the registry itself says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import registry
from orchestrator.registry import pointer


@pytest.fixture
def published(create: Callable[..., registry.ModelVersion]) -> list[registry.ModelVersion]:
    return [create("a"), create("b")]


def test_it_follows_the_alias(
    uri: str, state: Path, models: registry.Registry, published: list[registry.ModelVersion]
) -> None:
    for alias, version in (("champion", published[1]), ("previous", published[0])):
        for reference in (f"penguins@{alias}", f"models:/penguins@{alias}"):
            assert pointer.digest(uri, reference, state=state) == version.digest == models.version(reference).digest


@pytest.mark.parametrize("text", ["penguins", "penguins/1", "ana@example.org", "penguins@nobody", "a b@c", ""])
def test_other_text_points_to_nothing(uri: str, state: Path, published: list[registry.ModelVersion], text: str) -> None:
    assert pointer.digest(uri, text, state=state) == ""


def test_a_registry_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "none" / "mlflow.db"
    assert pointer.digest(f"sqlite:///{file}", "penguins@champion", state=tmp_path) == ""
    assert not file.parent.exists()


def test_tables_it_does_not_know_are_asked_through_the_client(
    uri: str, state: Path, published: list[registry.ModelVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointer, "_QUERY", "SELECT digest FROM tables_of_another_version WHERE name = ? AND alias = ?")
    assert pointer.digest(uri, "penguins@champion", state=state) == published[1].digest


def test_a_database_that_is_locked_for_writing_is_read(
    uri: str, state: Path, published: list[registry.ModelVersion]
) -> None:
    writer = sqlite3.connect(state / "mlflow.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert pointer.digest(uri, "penguins@champion", state=state) == published[1].digest
    finally:
        writer.close()


def test_mlflow_is_not_imported(uri: str, state: Path, published: list[registry.ModelVersion]) -> None:
    program = (
        "import sys; from pathlib import Path; from orchestrator.registry import pointer;"
        f" print(pointer.digest({uri!r}, 'penguins@champion', state=Path({str(state)!r})), 'mlflow' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.split() == [published[1].digest, "False"]
