"""The pages about clusters, followed on the API server of the tests as far as that goes without changing anything."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.test_cluster_pages import LINES, Line
from tests.helm.conftest import program

ROOT = Path(__file__).parents[2]
VERBS = ("plan", "apply")
# What is tried and not done. Everything else of these lines is as a reader types it.
TRIED = {
    ("orc", "apply"): ["--dry-run"],
    ("kubectl", "create"): ["--dry-run=server"],
    ("kubectl", "taint"): ["--dry-run=server"],
    ("helm", "upgrade"): ["--dry-run=server"],
}
# Words that stand for something of the reader's.
FILLED = {
    "registry.example/team": "registry.example/team",
    "$DATABASE_URI": "postgresql://mlflow@database/mlflow",
    "$KEY": "key",
    "$SECRET": "secret",
}


def _followed() -> list[Line]:
    overlays = [
        line for line in LINES if line.words[0] == "orc" and line.words[1] in VERBS and "manifests/" in str(line)
    ]
    creating = [line for line in LINES if line.words[0] == "kubectl" and line.words[1] in ("create", "taint")]
    asking = [line for line in LINES if line.words[:3] == ("kubectl", "get", "nodes")]
    installing = [line for line in LINES if line.words[:2] == ("helm", "upgrade")]
    return [*overlays, *creating, *asking, *installing]


def test_each_kind_of_command_is_followed():
    assert {line.words[:2] for line in _followed()} >= {("orc", "plan"), ("kubectl", "get"), *TRIED}


@pytest.mark.parametrize("line", _followed(), ids=str)
def test_a_command_does_what_it_says(api, named_environments, line, new_namespace, request, tmp_path):
    words = [_filled(word) for word in line.words]
    if words[0] == "orc":
        _until_settled(api)
    if "MACHINE" in words:
        machine = request.getfixturevalue("workers").plain
        words = [machine if word == "MACHINE" else word for word in words]
    if words[0] in ("kubectl", "helm") and "--namespace" in words:
        # The namespaces of the pages are made by other commands of theirs.
        words[words.index("--namespace") + 1] = new_namespace()
    if "my-values.yaml" in words:
        words[words.index("my-values.yaml")] = str(ROOT / "helm/orchestrator/ci/restricted-values.yaml")
    done = _run([*words, *TRIED.get((words[0], words[1]), [])], tmp_path)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"


def test_the_command_that_shows_an_endpoint_asks_for_what_there_is(definitions, tmp_path):
    """KServe's resource is known under this name; that there is none of it is another thing."""
    (line,) = {line.words for line in LINES if line.words[:3] == ("kubectl", "get", "inferenceservice")}
    done = _run([*line], tmp_path)
    assert " not found" in done.stderr
    assert "resource type" not in done.stderr


def _until_settled(api):
    """Another test may have made that environment, and deleted it just now."""
    end = time.monotonic() + 60
    while (found := api.found("/api/v1/namespaces/orchestrator-dev")) and found["metadata"].get("deletionTimestamp"):
        assert time.monotonic() < end
        time.sleep(0.5)


def _filled(word: str) -> str:
    for name, value in FILLED.items():
        word = word.replace(name, value)
    return word


def _run(words, home):
    """As in a clone; `orc` finds no settings of whoever runs the tests."""
    found = program(words[0]) if words[0] != "orc" else None
    if words[0] != "orc" and found is None:
        pytest.skip(f"needs {words[0]}")
    command = [found] if found else [sys.executable, "-m", "orchestrator"]
    folder = home / "clone"
    if not folder.exists() and words[0] == "orc":
        folder.mkdir()
        (folder / "manifests").symlink_to(ROOT / "manifests")
    kubeconfig = str(Path(os.environ["KUBECONFIG"]).resolve())
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "HELM_CACHE_HOME": str(home / "helm")}
    cwd = folder if words[0] == "orc" else ROOT
    return subprocess.run(
        [*command, *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
