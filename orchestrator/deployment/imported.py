"""A model that brings its own program into the registry: packed, tried in a process of its own, and then a version.

A program that does not start here, or whose requirements are not met here, is never registered, so never deployed.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator import digest as digests
from orchestrator.errors import OrchestratorError
from orchestrator.model import package, requirements
from orchestrator.model.manifest import Manifest, Package
from orchestrator.model.package import Wanted
from orchestrator.registry import ModelVersion, Registry, check_alias, check_name
from orchestrator.serving.backends import check
from orchestrator.serving.backends.check import Checked

ORIGIN = "orchestrator.origin"


@dataclass(frozen=True, slots=True)
class Registration:
    """Under which name a model is registered, and what is decided about it."""

    name: str
    approval: str = "pending"
    alias: str = ""
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """A program that answered its example, and the version it became; None when it was only tried."""

    manifest: Manifest
    package: Package
    checked: Checked
    version: ModelVersion | None = None


def bring(
    wanted: Wanted, registration: Registration, registry: Registry | None, *, python: str = sys.executable
) -> Imported:
    """Pack the program, try it in `python`, register it (without a registry only try it). Raises OrchestratorError."""
    check_name(registration.name)
    if registration.alias:
        check_alias(registration.alias)
    with tempfile.TemporaryDirectory(prefix="orc-import-") as place:
        folder = Path(place) / "model"
        folder.mkdir()
        manifest = package.make(wanted, folder)
        about = manifest.package
        assert about is not None  # noqa: S101  It was made as a package.
        _met(about, python)
        tried = Imported(manifest, about, check.run(folder, python=python))
        if registry is None:
            return tried
        return Imported(manifest, about, tried.checked, _registered(tried, folder, wanted, registration, registry))


def _met(about: Package, python: str) -> None:
    """All that is missing at once, and how to get it; another interpreter is asked by the check."""
    if python != sys.executable:
        return
    if unmet := requirements.unmet(about.requirements):
        missing = " ".join(f"'{each}'" for each in about.requirements if requirements.unmet([each]))
        hint = f"{sys.executable} -m pip install {missing}; a model is served from where it was tried"
        raise OrchestratorError(f"{requirements.NAME} is not met here: {'; '.join(unmet)}", hint=hint)


def _registered(
    tried: Imported, folder: Path, wanted: Wanted, registration: Registration, registry: Registry
) -> ModelVersion:
    origin = wanted.source.name or wanted.source.absolute().name
    return registry.create(
        registration.name,
        model=folder,
        digest=digests.of(folder),
        metrics={},
        parameters={"algorithm": tried.manifest.algorithm, "entry": tried.package.entry},
        tags={"problem": tried.manifest.problem, ORIGIN: origin},
        approval=registration.approval,
        reason=registration.reason or f"imported from {origin}",
        run="",
        alias=registration.alias or None,
        by=registration.by or "import",
    )
