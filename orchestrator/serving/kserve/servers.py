"""The servers an endpoint may have on a cluster: ours, and those of KServe's own runtimes for models they know.

Servers of others are given a folder by its URI, in a layout of their own. They know neither our transform nor our
classes: ONNX has both inside; KServe's scikit-learn server has neither, and takes only a model that needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.model.manifest import Manifest
from orchestrator.serving.declarations import Declaration, Variant


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its ClusterServingRuntime: what it takes, how it is spoken to, and what it needs at least."""

    name: str
    runtime: str = ""
    """Of KServe's own; "" for ours."""
    format: tuple[str, str] = ("", "")
    protocol: str = "v2"
    layout: str = ""
    """Where in its folder the model's file is; `{name}` is the endpoint's."""
    metrics_port: int = 8080
    cpu: str = "1"
    memory: str = "2Gi"

    @property
    def is_ours(self) -> bool:
        return not self.runtime


# What a replica is given where the file does not say: a scikit-learn model and its server, with room.
OURS = Server("orchestrator", cpu="500m", memory="1Gi")
_TRITON = Server(
    "triton", "kserve-tritonserver", ("onnx", "1"), layout="{name}/1/model.onnx", metrics_port=8002, memory="4Gi"
)
_OPENVINO = Server("openvino", "kserve-openvino", ("onnx", "1"), layout="1/model.onnx")
_SKLEARN = Server("sklearn", "kserve-sklearnserver", ("sklearn", "1"), layout="model.joblib")
ALL: Mapping[str, Server] = {each.name: each for each in (OURS, _TRITON, _OPENVINO, _SKLEARN)}

KSERVE = "0.20"
PINNED: Mapping[str, str] = {"python": "3.11", "scikit-learn": "1.5.2", "numpy": "2", "joblib": "1.5"}
"""What is in the image of that KServe's scikit-learn server. A pickle is read by the versions that wrote it."""


def model(server: Server, declaration: Declaration, storage: str) -> dict[str, Any]:
    """What KServe is told of the model: its form, who serves it, and where it lies."""
    name, version = server.format
    (variant,) = declaration.variants
    return {
        "modelFormat": {"name": name, "version": version},
        "runtime": server.runtime,
        "protocolVersion": server.protocol,
        "storageUri": folder(storage, declaration.name, variant),
    }


def folder(storage: str, endpoint: str, variant: Variant) -> str:
    """Where a version lies for a server of others; no other version ever takes its place."""
    return f"{storage.rstrip('/')}/{endpoint}/{variant.model}/{variant.version}"


def file(server: Server, endpoint: str) -> str:
    """Where in that folder the server looks for the model's one file."""
    return server.layout.format(name=endpoint)


def problems(server: Server, variant: Variant, found: Manifest, *, done: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Why this server cannot serve that version as ours would, and what to do; `done` is what its transform does.

    A pickle of another version may fail, or worse, answer otherwise: only the same versions are taken.
    """
    what = f"variant {variant.name!r} ({variant.model} version {variant.version})"
    if server.format[0] == "onnx":
        if variant.format != "onnx":
            hint = "write format: onnx for the variant"
            yield f"{what} is served as it was trained, and {server.name} takes ONNX", hint
        return
    ours = "leave --server out: our server serves it as it was trained"
    if found.flavor != "sklearn":
        yield f"{what} is a model of {found.flavor}, not of scikit-learn", ours
        return
    if done:
        said = (
            f"{what} transforms its columns first ({', '.join(done)}), which KServe's scikit-learn server does not do"
        )
        yield said, ours
    if found.classes is not None:
        message = f"{what} answers with classes, and KServe's scikit-learn server with their numbers"
        yield message, ours
    for package, pinned in PINNED.items():
        made = found.versions.get(package, "")
        if not f"{made}.".startswith(f"{pinned}."):
            said = f"was made with {package} {made or '(not recorded)'}"
            yield f"{what} {said}, and the scikit-learn server of KServe {KSERVE} has {pinned}", ours
