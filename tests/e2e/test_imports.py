"""What is heavy is imported by the command that needs it and by nothing before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "pandas", "numpy", "sklearn", "pyarrow", "mlflow", "kfp", "kubernetes", "tensorflow", "keras", "great_expectations",
    "sqlalchemy", "starlette", "uvicorn",
)  # fmt: skip
# A pipeline is a graph only once it is read: the library of graphs is for `orchestrator.pipeline.graph`.
LIGHT = {
    "orchestrator.cli": (*HEAVY, "networkx", "pydantic", "yaml"),
    "orchestrator.ir": HEAVY,
    "orchestrator.source": (*HEAVY, "networkx"),
    "orchestrator.settings": (*HEAVY, "networkx", "pydantic"),
    "orchestrator.program": (*HEAVY, "networkx", "pydantic"),
    "orchestrator.pipeline.load": HEAVY,
    "orchestrator.pipeline.compiler": HEAVY,
    "orchestrator.runners.local": HEAVY,
    "orchestrator.runners.arguments": HEAVY,
    "orchestrator.stores.metadata": (*HEAVY, "networkx"),
    "orchestrator.runs": HEAVY,
    "orchestrator.registry": tuple(name for name in HEAVY if name != "numpy"),
}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_is_light(module: str) -> None:
    said = _imported(f"import {module}")
    assert not said & set(LIGHT[module]), sorted(said & set(LIGHT[module]))


def test_compiling_is_light() -> None:
    file = str(ROOT / "pipelines" / "penguins" / "pipeline.yaml")
    said = _imported(f"from orchestrator.cli import main; assert main(['compile', {file!r}, '-o', '/dev/null']) == 0")
    assert not said & set(HEAVY), sorted(said & set(HEAVY))


def _imported(code: str) -> set[str]:
    program = f"{code}\nimport sys; print('imported:', *{{name.partition('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return set(ended.stdout.rpartition("imported: ")[2].split())
