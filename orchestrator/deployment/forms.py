"""The folder that answers for a version in a format: the model as it was trained, or its ONNX form."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.model import manifest
from orchestrator.registry import ModelVersion


def find(version: ModelVersion, format: str) -> tuple[Path, str]:
    """The folder and the digest of a version as it was trained, or of its ONNX form.

    Raises OrchestratorError when it has none, or none that passed its gate.
    """
    if format != "onnx":
        return version.path, version.digest
    if version.onnx is None:
        if manifest.read(version.path).flavor == "onnx":
            return version.path, version.digest
        hint = (
            f"make one: orc export --onnx {version.name}/{version.version} --data FILE, with rows it was not trained on"
        )
        raise OrchestratorError(f"{version.uri} has no ONNX form", hint=hint)
    if not version.onnx.passed:
        gate = version.onnx.gate
        raise OrchestratorError(
            f"the ONNX form of {version.uri} did not pass its gate: of {gate.get('rows', '?')} rows "
            f"{gate.get('differing', '?')} labels differ, the largest difference is {gate.get('largest', '?')}",
            hint="leave `format` out, or export it again with bounds that you accept",
        )
    return version.onnx.path, version.onnx.digest
