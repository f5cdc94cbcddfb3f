"""The folder of an ONNX form: written whole, checked before it answers, and loaded with onnxruntime and numpy alone."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator import digest as digests
from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.model import manifest as manifests
from orchestrator.model import transform as transforms
from orchestrator.model.folder import Prediction
from orchestrator.model.manifest import Manifest
from orchestrator.model.onnx import runner
from orchestrator.model.onnx.gate import Gate
from orchestrator.model.operation import OPERATIONS, Operation
from orchestrator.model.signature import Array, Columns, InputError
from orchestrator.model.transform import Transform

VERSION = 1
FLAVOR = "onnx"
NAME = "form.json"
GRAPH = "model.onnx"
RUNNER = "predict.py"
_FILES = (GRAPH, NAME, folder.TRANSFORM, RUNNER)
_PACKAGES = ("numpy", "onnx", "onnxruntime", "skl2onnx", "scikit-learn", "keras", "tf2onnx")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input of the graph, `[rows, 1]`: a column, sent as a number, a text or a moment."""

    column: str
    kind: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """What goes into the graph and what comes out of it; `before` is done to the columns first."""

    tensors: tuple[Tensor, ...]
    before: tuple[Operation, ...]
    prediction: str
    probabilities: str
    refused: str
    precision: str
    # Whose operators the graph is made of; with `ai.onnx.ml` among them it is not for OpenVINO.
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """What `form.json` says: the model it is a form of, its wiring, and how it compared."""

    of: str
    wiring: Wiring
    gate: Gate


@dataclass(frozen=True, slots=True)
class Loaded:
    """A form that answers."""

    manifest: Manifest
    form: Form
    transform: Transform
    session: Any = field(repr=False)
    wanted: tuple[str, ...] = ()

    def predict(self, columns: Columns) -> Prediction:
        """Predict for columns as `signature.columns_from_*` make them."""
        rows = len(next(iter(columns.values()))) if columns else 0
        classes = self.manifest.classes
        if not rows:
            nothing = None if classes is None else np.empty((0, len(classes)))
            return Prediction(np.empty(0, dtype=object if classes else np.float64), nothing, classes)
        found = self.session.run(self.wanted, self._fed(columns))
        if self.form.wiring.refused and found[-1].any():
            self._refuse(columns, found[-1])
        if classes is None:
            return Prediction(found[0])
        return Prediction(found[0], found[1], classes)

    def _fed(self, columns: Columns) -> dict[str, Array]:
        if self.form.wiring.before:
            state = dict(columns)
            for operation in self.form.wiring.before:
                state.update(operation.apply(state.pop(operation.column)))
            columns = state
        return {tensor.column: runner.SENT[tensor.kind](columns[tensor.column]) for tensor in self.form.wiring.tensors}

    def _refuse(self, columns: Columns, refused: NDArray[np.bool_]) -> None:
        """Say what is wrong as the model itself does: the transform, done in numpy, names column and value."""
        names, matrix = transforms.apply(self.transform, columns)
        row, place = np.argwhere(np.isnan(matrix) & refused[:, None])[0]
        raise InputError(f"the model cannot take this data: {names[place]!r} has no value in row {row}")


def save(path: Path, model: folder.Model, content: bytes, form: Form) -> Manifest:
    """Write the folder; the manifest that lies in it, with the digests of the files."""
    path.mkdir(parents=True, exist_ok=True)
    (path / GRAPH).write_bytes(content)
    (path / NAME).write_text(dump(form), encoding="utf-8")
    (path / folder.TRANSFORM).write_text(transforms.dump(model.transform), encoding="utf-8")
    shutil.copyfile(runner.__file__, path / RUNNER)
    files = {name: digests.of_file(path / name) for name in _FILES}
    complete = replace(model.manifest, flavor="onnx", versions=_versions(), files=files)
    (path / manifests.NAME).write_text(manifests.dump(complete), encoding="utf-8")
    return complete


def load(path: Path, digest: str | None = None, *, threads: int = 1) -> Loaded:
    """The form in a folder, which must have the digest that is given. Raises OrchestratorError."""
    manifest = manifests.read(path)
    if manifest.flavor != FLAVOR:
        raise OrchestratorError(f"{path} is a model of flavor {manifest.flavor!r}, not {FLAVOR}")
    if digest is not None and (found := folder.digest(path)) != digest:
        hint = "the folder was changed after it was exported; export the model again"
        raise OrchestratorError(f"the ONNX form {path} has digest {found}, expected {digest}", hint=hint)
    if set(manifest.files) != set(_FILES):
        raise OrchestratorError(f"the ONNX form {path} names files {sorted(manifest.files)}, expected {sorted(_FILES)}")
    for name, expected in manifest.files.items():
        if not (path / name).is_file() or digests.of_file(path / name) != expected:
            raise OrchestratorError(f"the ONNX form {path} is not intact: {name}", hint="export the model again")
    form = read(path)
    wanted = [form.wiring.prediction, form.wiring.probabilities, form.wiring.refused]
    return Loaded(
        manifest,
        form,
        transforms.read(path / folder.TRANSFORM),
        session((path / GRAPH).read_bytes(), threads=threads),
        tuple(name for name in wanted if name),
    )


def session(content: bytes, *, threads: int = 1) -> Any:
    """onnxruntime's session. Raises OrchestratorError when it is not installed, or does not take the graph."""
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        hint = "pip install onnxruntime"
        raise OrchestratorError("this model needs onnxruntime, which is not installed", hint=hint) from error
    options = onnxruntime.SessionOptions()
    # Requests come side by side: threads within one would wait for each other.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # What one large request needed is given back rather than kept.
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way to fail, all below Exception.
        said = str(error).strip().splitlines()[0][:300]
        raise OrchestratorError(f"onnxruntime does not take this graph: {said}") from error


def dump(form: Form) -> str:
    """The form as JSON text, the same text for the same form."""
    wiring = form.wiring
    document = {
        "version": VERSION,
        "of": form.of,
        "precision": wiring.precision,
        "domains": list(wiring.domains),
        "tensors": [asdict(tensor) for tensor in wiring.tensors],
        "before": [{"do": type(one).__name__.lower(), **asdict(one)} for one in wiring.before],
        "outputs": {
            "prediction": wiring.prediction,
            "probabilities": wiring.probabilities,
            "refused": wiring.refused,
        },
        "missing": {"text": runner.MISSING_TEXT, "moment": runner.MISSING_MOMENT},
        "gate": asdict(form.gate),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def read(path: Path) -> Form:
    """What the folder says of itself. Raises OrchestratorError."""
    try:
        document = json.loads((path / NAME).read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise OrchestratorError(f"{path / NAME} has format version {document['version']!r}, this reads {VERSION}")
        outputs = document["outputs"]
        wiring = Wiring(
            tuple(Tensor(**each) for each in document["tensors"]),
            tuple(_operation(each) for each in document["before"]),
            outputs["prediction"],
            outputs["probabilities"],
            outputs["refused"],
            document["precision"],
            tuple(document["domains"]),
        )
        return Form(document["of"], wiring, Gate(**document["gate"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OrchestratorError(f"{path} is not an ONNX form: {error!r}") from error


def _operation(values: Mapping[str, Any]) -> Operation:
    rest = dict(values)
    kind = OPERATIONS[rest.pop("do")]
    made: Operation = kind(**rest)
    return made


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
