"""Models laid where servers that are not ours find them: one file each, where its server looks for it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.model.onnx import form
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import servers
from orchestrator.serving.kserve.objects import Place
from orchestrator.stores import objects

_FILES = {"onnx": form.GRAPH, "sklearn": folder.ESTIMATOR["sklearn"]}


def store(declaration: Declaration, place: Place) -> tuple[str, ...]:
    """Write the model of every variant below the place's storage; where each is now. Raises BackendError.

    A version lies in a folder of its own, so that writing it once more changes nothing.
    """
    if place.server.is_ours:
        raise OrchestratorError("our server fetches its models from the registry", hint="leave --upload out")
    if place.storage.partition("://")[0] in ("pvc", "hf", "oci", "http", "https"):
        hint = (
            f"lay each there yourself as {place.server.layout}, or name a store of objects, such as s3://bucket/models"
        )
        raise OrchestratorError(f"nothing can be written to {place.storage} from here", hint=hint)
    for variant, target in zip(declaration.variants, places(declaration, place), strict=True):
        objects.put(target, Path(variant.path) / _FILES[place.server.format[0]])
    return places(declaration, place)


def places(declaration: Declaration, place: Place) -> tuple[str, ...]:
    """Where the server of each variant looks for its model; nowhere when it is ours, which asks the registry."""
    if place.server.is_ours:
        return ()
    inside = servers.file(place.server, declaration.name)
    return tuple(f"{servers.folder(place.storage, declaration.name, each)}/{inside}" for each in declaration.variants)
