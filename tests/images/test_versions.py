"""What images hold is what the tests ran with: one version of each package, in training and in serving."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from orchestrator.images import recipe

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
LISTED = [*sorted(ROOT.glob("components/*/requirements.txt")), recipe.FILES / "server.txt"]


def pins(file: Path) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in _PIN.findall(file.read_text())}


LOCKED = pins(recipe.FILES / "components.lock.txt")


def test_images_hold_the_versions_that_were_tested():
    tested = pins(ROOT / "requirements" / "dev.txt")
    assert {
        name: (LOCKED[name], tested[name]) for name in set(LOCKED) & set(tested) if LOCKED[name] != tested[name]
    } == {}
    assert {"scikit-learn", "numpy", "pandas", "mlflow-skinny", "great-expectations", "tensorflow-cpu"} <= set(
        LOCKED
    ) & set(tested)


@pytest.mark.parametrize(
    "file", LISTED, ids=lambda file: file.parent.name if file.name == "requirements.txt" else file.name
)
def test_everything_a_component_asks_for_is_locked_as_it_asks(file):
    for line in recipe.requirements(file):
        asked = Requirement(line)
        assert asked.specifier.contains(LOCKED[asked.name.lower()]), line


def test_the_tracking_server_is_of_the_version_its_clients_are():
    server = pins(recipe.FILES / "mlflow.lock.txt")
    assert server["mlflow"] == server["mlflow-skinny"] == LOCKED["mlflow-skinny"]


def test_every_version_has_its_hashes():
    for name in ("components.lock.txt", "mlflow.lock.txt", "uv.txt"):
        text = (recipe.FILES / name).read_text()
        assert [
            name
            for name, _ in _PIN.findall(text)
            if not re.search(rf"^{re.escape(name)}==.*\\\n    --hash", text, re.MULTILINE)
        ] == []


def test_the_builder_has_the_uv_that_the_project_has():
    assert (recipe.FILES / "uv.txt").read_text() == (ROOT / "requirements" / "uv.txt").read_text()


def test_components_that_the_lock_is_made_of_are_all_there_are():
    asked = (recipe.FILES / "components.in").read_text()
    assert [file for file in LISTED[:-1] if f"-r ../../../{file.relative_to(ROOT)}" not in asked] == []
