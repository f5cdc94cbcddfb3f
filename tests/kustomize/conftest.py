"""Environments as kustomize builds them; skipped plainly where no kubectl with kustomize 5 is at hand."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.conftest import program

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
Objects = Mapping[tuple[str, str], Any]


@pytest.fixture(scope="session")
def built() -> Callable[[str], Objects]:
    """The objects of a folder of manifests, by kind and name."""
    kubectl = next((each for each in (shutil.which("kubectl"), program("kubectl")) if each and _is_new(each)), None)
    if kubectl is None:
        pytest.skip("needs kubectl 1.27 or later, which has kustomize 5: `make cluster` brings one")

    @functools.cache
    def build(folder: str) -> Objects:
        ran = subprocess.run(
            [kubectl, "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(ran.stdout)}

    return build


def _is_new(kubectl: str) -> bool:
    ran = subprocess.run(
        [kubectl, "version", "--client", "--output", "json"], capture_output=True, text=True, check=False
    )
    return str(json.loads(ran.stdout or "{}").get("kustomizeVersion", "")) >= "v5"
