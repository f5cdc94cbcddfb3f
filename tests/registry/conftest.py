"""A real registry per test: MLflow's database is made once and copied, because making one takes most of a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import registry
from orchestrator.registry import backend


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("fresh") / "mlflow.db"
    with backend.locked(file):
        backend.prepare(file)
    return file


@pytest.fixture
def state(fresh: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "state with a space"
    folder.mkdir()
    shutil.copy(fresh, folder / "mlflow.db")
    return folder


@pytest.fixture
def uri(state: Path) -> str:
    return f"sqlite:///{state}/mlflow.db"


@pytest.fixture
def models(uri: str) -> registry.Registry:
    return registry.open(uri)


@pytest.fixture
def judge(uri: str) -> Any:
    """MLflow's own client, which knows nothing of us."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def aliases(judge: Any) -> Callable[[], dict[str, str]]:
    """The aliases as MLflow tells them; a database answers with numbers, a server with texts."""

    def aliases() -> dict[str, str]:
        return {alias: str(version) for alias, version in judge.get_registered_model("penguins").aliases.items()}

    return aliases


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(content: str) -> Path:
        path = tmp_path / "models" / content
        (path / "assets").mkdir(parents=True, exist_ok=True)
        (path / "model.json").write_text(f'{{"is": "{content}"}}')
        (path / "assets" / "weights.bin").write_bytes(content.encode() * 1000)
        return path

    return make


@pytest.fixture
def create(models: registry.Registry, folder: Callable[[str], Path]) -> Callable[..., registry.ModelVersion]:
    def create(content: str = "a", **changed: Any) -> registry.ModelVersion:
        given: dict[str, Any] = {
            "model": folder(content),
            "digest": f"sha256:{content}",
            "metrics": {"f1": 0.97},
            "parameters": {"algorithm": "random_forest", "max_depth": 3, "weights": [1, 2]},
            "tags": {"problem": "classification"},
            "approval": "approved",
            "reason": "f1 = 0.97 > 0.85",
            "run": f"run-{content}",
            "alias": "champion",
        }
        return models.create("penguins", **{**given, **changed})

    return create
