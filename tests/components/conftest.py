"""Components run as a runner runs them: as processes of their own, with flags in and files out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import program

ROOT = Path(__file__).parents[2]
Invoke = Callable[..., program.Result]


@pytest.fixture
def pipelines() -> Path:
    """The folder of our own pipelines, with their data."""
    return ROOT / "pipelines"


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Run a component: invoke("ingest", source=path, key=["id"])."""

    def run(component: str, *, environment: Mapping[str, str] | None = None, **arguments: Any) -> program.Result:
        outputs = tmp_path / f"{component}-outputs"
        return program.invoke(ROOT / "components" / component, arguments, outputs, environment=environment)

    return run
