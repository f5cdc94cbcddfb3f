"""What answers for a model: chosen by the flavor its manifest names, imported when such a model is first loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.model import manifest
from orchestrator.serving.hosted import Load, Model


def load(path: Path, digest: str) -> Model:
    """The model in a folder that has this digest. Raises OrchestratorError."""
    flavor = manifest.read(path).flavor
    if flavor not in BACKENDS:
        raise OrchestratorError(f"this server has nothing that answers for a model of flavor {flavor!r}")
    return BACKENDS[flavor](path, digest)


def _native(path: Path, digest: str) -> Model:
    from orchestrator.serving.backends import native

    return native.load(path, digest)


def _packaged(path: Path, digest: str) -> Model:
    from orchestrator.serving.backends import packaged

    return packaged.load(path, digest)


def _onnx(path: Path, digest: str) -> Model:
    from orchestrator.serving.backends import onnx

    return onnx.load(path, digest)


BACKENDS: Mapping[str, Load] = {
    "sklearn": _native,
    "keras": _native,
    "onnx": _onnx,
    "python": _packaged,
    "handlers": _packaged,
}
