"""The corpus of KFP pipelines once more, every task in the test image: the same outcomes as of processes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import runs, settings
from orchestrator.runners.local.containers import engine
from orchestrator.runners.local.containers.engine import Engine

from .conftest import IMAGE, module

pytestmark = pytest.mark.containers

corpus = module(Path(__file__).parents[1] / "runners" / "test_kfp_corpus.py")
compiled = corpus.compiled
# What a case says of processes, and containers do otherwise.
OTHERWISE = {"artifact-own-place": "a path that a program chose in the image's own folders is gone with the container"}
CASES = [
    case
    for case in corpus.CASES
    if case.name not in OTHERWISE and not any("error" in document for document in corpus.documents(case))
]


@pytest.mark.parametrize("using", [engine.DOCKER], indirect=True)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_comes_to_the_same_in_containers(case: Path, compiled: Path, using: Engine, tmp_path: Path) -> None:
    file = compiled / case.name / "pipeline.ir.yaml"
    if IMAGE not in file.read_text():
        documents = [in_image(document) for document in yaml.safe_load_all(file.read_text())]
        file.write_text(yaml.safe_dump_all(documents))
    for number, expected in enumerate(corpus.documents(case), 1):
        told = {"ORC_STATE": str(tmp_path / "state"), "ORC_WORKERS": "8", **expected.get("environment", {})}
        found = settings.read({**told, "ORC_CONTAINERS_ENGINE": using.program}, tmp_path)
        options = runs.Options(cache=expected.get("cache", False), run=f"run-{number}", containers=True)
        given = {name: corpus.as_text(value) for name, value in expected.get("arguments", {}).items()}
        came = corpus.outcome(list(runs.start(file, given, found, options)), expected)
        wanted = corpus.shown({name: value for name, value in expected.items() if name in came})
        differing = difflib.unified_diff(wanted, corpus.shown(came), "case.yaml", f"run {number}", lineterm="", n=1)
        assert not (different := "\n".join(differing)), different


def in_image(document: Any) -> Any:
    """A specification whose containers all come from the test image."""
    for executor in (document.get("deploymentSpec") or {}).get("executors", {}).values():
        container = executor.get("container")
        if container and not container["image"].startswith("argostub/"):
            container["image"] = IMAGE
    return document
