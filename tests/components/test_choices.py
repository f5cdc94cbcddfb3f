"""The choices a component file declares, so that a wrong one is refused before a run, are those its program knows."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from components.ingest import ingest
from components.publish import publish
from components.train import algorithm
from components.validate_schema import validate
from orchestrator import source
from orchestrator.serving.batch import plan

COMPONENTS = Path(__file__).parent.parent.parent / "components"
CHOICES = [
    ("batch_predict", "format", ("", *plan.FORMATS)),
    ("batch_predict", "join", plan.JOINS),
    ("batch_predict", "output_format", ("", *plan.FORMATS)),
    ("batch_predict", "split", plan.SPLITS),
    ("ingest", "method", ingest.METHODS),
    ("publish", "approval", publish.APPROVALS),
    ("train", "algorithm", algorithm.ALGORITHMS),
    ("validate_schema", "fail_on", validate.FAIL_ON),
]


@pytest.mark.parametrize(("component", "name", "known"), CHOICES)
def test_a_component_file_declares_what_its_program_knows(component: str, name: str, known: Collection[str]) -> None:
    declared = source.read(COMPONENTS / component / "component.yaml").data["inputs"][name]
    assert declared["enum"] == list(known)
