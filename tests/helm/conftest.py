"""The chart, rendered by helm with each of its values files; skipped plainly where helm is not at hand."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

Manifest = Mapping[str, Any]

CHART = Path(__file__).parents[2] / "helm" / "orchestrator"
CASES = sorted((CHART / "ci").glob("*.yaml"))
KUBERNETES = "1.36.3"
NAMESPACE = "somewhere"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"


class Renders(Protocol):
    """The objects the chart makes of a values file, or of settings as `--set` takes them."""

    def __call__(self, values: Path | None = None, *settings: str, version: str = KUBERNETES) -> list[Manifest]: ...


@dataclass(frozen=True)
class Helm:
    """The program, with folders of its own: nothing of the user's is read or written."""

    program: str
    home: Path
    seconds: float = 240

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        folders = {f"HELM_{name}_HOME": str(self.home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env={**os.environ, **folders},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )


def program(name: str) -> str | None:
    """Where a program is: on the path, or among those that `tests/cluster/prepare.py` built."""
    if found := shutil.which(name):
        return found
    told = os.environ.get("ORC_TEST_CLUSTER")
    folders = [Path(told)] if told else sorted(_CACHE.glob("cluster-*"))
    return next((str(folder / name) for folder in folders if (folder / name).exists()), None)


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm, or a skipped test."""
    found = program("helm")
    if found is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    return Helm(found, Path(tempfile.mkdtemp(prefix="orc-helm-")))


@pytest.fixture(scope="session")
def render(helm: Helm) -> Renders:
    """Renders the chart, once per input."""

    @functools.cache
    def rendered(values: Path | None, settings: Sequence[str], version: str) -> list[Manifest]:
        chosen = [*(("--values", values) if values else ()), *(part for each in settings for part in ("--set", each))]
        done = helm("template", "orchestrator", CHART, "--namespace", NAMESPACE, "--kube-version", version, *chosen)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    return lambda values=None, *settings, version=KUBERNETES: rendered(values, settings, version)


def only(found: Sequence[Manifest], kind: str, name: str = "") -> Manifest:
    """The one object of that kind, and name."""
    (one,) = [each for each in found if each["kind"] == kind and (not name or each["metadata"]["name"] == name)]
    return one
