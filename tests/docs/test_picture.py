"""The picture in the README is the one `orc graph` draws today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.pipeline import load, picture

ROOT = Path(__file__).resolve().parents[2]


def test_the_picture_of_the_penguins_is_current(golden: Callable[[Path, str], None]) -> None:
    compiled = load.pipeline(ROOT / "pipelines" / "penguins" / "pipeline.yaml")
    golden(ROOT / "docs" / "penguins.svg", picture.svg(compiled))
