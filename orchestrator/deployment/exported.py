"""A model as ONNX: from a folder or a registered version to a folder, and into the version's record."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from orchestrator import registry
from orchestrator.deployment.resolved import reference
from orchestrator.errors import OrchestratorError
from orchestrator.model.onnx import export
from orchestrator.model.onnx.export import Exported, Wanted
from orchestrator.settings import Settings


def onnx(model: str, data: Path, to: Path | None, wanted: Wanted, settings: Settings, *, by: str) -> Exported:
    """Export the model that `model` names: a folder, or a registered version, in whose record the outcome is written.

    Raises OrchestratorError for what cannot be exported. A form that answers otherwise than the model is not kept.
    """
    if Path(model).is_dir():
        if to is None:
            raise OrchestratorError("a folder has no record to keep the form in", hint="say where with --to FOLDER")
        return _exported(Path(model), data, to, wanted, "")
    known = registry.open(settings.tracking_uri, state=settings.state)
    version = known.version(reference(model))
    with tempfile.TemporaryDirectory(prefix="orc-onnx-") as scratch:
        made = _exported(version.path, data, to or Path(scratch) / "form", wanted, version.digest)
        folder = (to or Path(scratch) / "form") if made.digest else None
        gate = {**asdict(made.gate), "passed": made.gate.passed, "precision": wanted.precision}
        known.add_onnx(version.uri, folder, made.digest, gate, by=by)
    return made


def _exported(model: Path, data: Path, to: Path, wanted: Wanted, digest: str) -> Exported:
    return export.export(model, data, to, wanted, digest=digest or None)
