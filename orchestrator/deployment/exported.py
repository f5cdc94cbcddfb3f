"""A model as ONNX: from a folder or a registered version to a folder, and into the version's record."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from orchestrator import registry
from orchestrator.deployment.resolved import reference
from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model.onnx import export
from orchestrator.model.onnx.export import Exported, Wanted
from orchestrator.settings import Settings


def onnx(
    model: str, data: Path, to: Path | None, wanted: Wanted, settings: Settings, *, by: str
) -> tuple[Exported, str]:
    """Export the model that `model` names: a folder, or a registered version, in whose record the outcome is written.

    What came of it, and the version, "" for a folder; a form that answers otherwise than the model is not kept. Raises
    OrchestratorError for what cannot be exported.
    """
    if not data.is_file():  # Told before the registry is asked.
        raise NotFoundError("data file", str(data))
    if Path(model).is_dir():
        if to is None:
            raise OrchestratorError("a folder has no record to keep the form in", hint="say where with --to FOLDER")
        return export.export(Path(model), data, to, wanted), ""
    known = registry.open(settings.tracking_uri, state=settings.state)
    version = known.version(reference(model))
    with tempfile.TemporaryDirectory(prefix="orc-onnx-") as scratch:
        place = to or Path(scratch) / "form"
        made = export.export(version.path, data, place, wanted, digest=version.digest or None)
        gate = {**asdict(made.gate), "passed": made.gate.passed, "precision": wanted.precision}
        known.add_onnx(version.uri, place if made.digest else None, made.digest, gate, by=by)
    return made, f"{version.name}/{version.version}"
