"""A model folder on disk: saved whole, checked file by file against its digests before anything in it is loaded.

An estimator is a pickle, and loading one runs what is in it: a folder is to be trusted as a program is. Who knows the
digest a model should have (the registry does) gives it to `load`.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator import digest as digests
from orchestrator.errors import OrchestratorError
from orchestrator.model import linear
from orchestrator.model import manifest as manifests
from orchestrator.model import signature as signatures
from orchestrator.model import transform as transforms
from orchestrator.model.manifest import Class, Manifest
from orchestrator.model.signature import Array, Columns, InputError
from orchestrator.model.transform import Transform

TRANSFORM = "transform.json"
ESTIMATOR: Mapping[str, str] = {"sklearn": "estimator.joblib", "keras": "model.keras"}
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("numpy", "scikit-learn", "joblib"),
    "keras": ("numpy", "keras", "tensorflow-cpu", "tensorflow"),
}

# Waking a second thread costs milliseconds on a busy machine; so few rows are done sooner by one alone.
SMALL = 1000


@dataclass(frozen=True, slots=True)
class Prediction:
    """One value per row: a class, a number or a cluster; for classes also the probability of each."""

    values: Array
    probabilities: NDArray[np.float64] | None = None
    classes: tuple[Class, ...] | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model. `notes` says what a careful reader should know, such as another version of scikit-learn."""

    manifest: Manifest
    transform: Transform
    estimator: Any
    path: Path
    notes: tuple[str, ...] = ()
    # Holds OpenMP to one thread (threadpoolctl's controller); None where there is nothing to hold.
    threads: Any = field(default=None, compare=False, repr=False)
    # What the estimator computes, without its checks; None where only it knows how.
    shortcut: linear.Predict | None = field(default=None, compare=False, repr=False)

    def predict(self, columns: Columns) -> Prediction:
        """Predict for columns as `signature.columns_from_*` and `frame.take` make them."""
        _, matrix = transforms.apply(self.transform, columns)
        return self.predict_matrix(matrix)

    def predict_records(self, records: Any) -> Prediction:
        """Predict for rows as JSON gives them; an InputError names what is wrong with them."""
        return self.predict(signatures.columns_from_records(self.manifest.signature, records))

    def predict_matrix(self, matrix: NDArray[np.float64]) -> Prediction:
        """Predict for features that are already made."""
        classes = self.manifest.classes
        if not len(matrix):
            probabilities = None if classes is None else np.empty((0, len(classes)))
            return Prediction(_labels(classes or (), np.empty(0, dtype=np.int64)), probabilities, classes)
        try:
            raw = self._raw(matrix)
        except ValueError as error:
            raise InputError(f"the model cannot take this data: {str(error).splitlines()[0]}") from error
        if classes is None:
            return Prediction(raw)
        return Prediction(_labels(classes, np.argmax(raw, axis=1)), raw, classes)

    def _raw(self, matrix: NDArray[np.float64]) -> Array:
        if self.manifest.flavor == "keras":
            out = np.asarray(self.estimator(matrix.astype(np.float32), training=False), dtype=np.float64)
            return out if self.manifest.problem == "classification" else out[:, 0]
        if self.shortcut is not None and linear.is_finite(matrix):
            return self.shortcut(matrix)
        predict = self.estimator.predict_proba if self.manifest.classes is not None else self.estimator.predict
        if self.threads is None or len(matrix) > SMALL:
            return np.asarray(predict(matrix))
        with self.threads.limit(limits=1, user_api="openmp"):
            return np.asarray(predict(matrix))


def save(path: Path, manifest: Manifest, transform: Transform, estimator: Any) -> Manifest:
    """Write the folder; the manifest that comes back, and lies in it, has the versions and the digests filled in."""
    path.mkdir(parents=True, exist_ok=True)
    (path / TRANSFORM).write_text(transforms.dump(transform), encoding="utf-8")
    file = path / ESTIMATOR[manifest.flavor]
    if manifest.flavor == "keras":
        estimator.save(file)
    else:
        import joblib

        joblib.dump(estimator, file, compress=3)
    files = {each.name: digests.of_file(each) for each in (path / TRANSFORM, file)}
    complete = replace(manifest, versions=_versions(manifest.flavor), files=files)
    (path / manifests.NAME).write_text(manifests.dump(complete), encoding="utf-8")
    return complete


def load(path: Path, digest: str | None = None) -> Model:
    """The model in a folder: every file must have the digest its manifest says, the folder the one that is given."""
    manifest = manifests.read(path)
    if digest is not None:
        _expect(path, digest)
    if manifest.flavor == "onnx":
        hint = "take the model it is a form of; a server, `orc batch` and its predict.py answer from this one"
        raise OrchestratorError(f"{path} is the ONNX form of a model, not the model", hint=hint)
    if manifest.flavor not in ESTIMATOR:
        hint = "deploy it, and ask its endpoint"
        raise OrchestratorError(f"the model {path} is a program that came with it; only a server runs it", hint=hint)
    wanted = {TRANSFORM, ESTIMATOR[manifest.flavor]}
    if set(manifest.files) != wanted:
        raise OrchestratorError(f"the model {path} names files {sorted(manifest.files)}, expected {sorted(wanted)}")
    for name, expected in manifest.files.items():
        if not (path / name).is_file():
            raise OrchestratorError(f"the model {path} has no file {name}")
        if digests.of_file(path / name) != expected:
            hint = "the folder is damaged or was changed; train the model again"
            raise OrchestratorError(f"the model {path} is not intact: {name} does not have its digest", hint=hint)
    transform = transforms.read(path / TRANSFORM)
    with _installed(manifest):
        estimator = _estimator(path / ESTIMATOR[manifest.flavor], manifest)
        if manifest.flavor == "keras":
            return Model(manifest, transform, estimator, path, _notes(manifest))
        return Model(manifest, transform, estimator, path, _notes(manifest), _threads(), linear.shortcut(estimator))


def digest(path: Path) -> str:
    """The digest of the folder, which is what the artifact store and the registry know it by."""
    return digests.of(path)


def _expect(path: Path, expected: str) -> None:
    if (found := digest(path)) != expected:
        hint = "the folder was changed after it was published; publish it again"
        raise OrchestratorError(f"the model {path} has digest {found}, expected {expected}", hint=hint)


def _estimator(file: Path, manifest: Manifest) -> Any:
    if manifest.flavor == "keras":
        # TensorFlow greets at length on stderr otherwise.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
        import keras

        return keras.saving.load_model(file, compile=False, safe_mode=True)
    # Threads of several tasks on few cores would otherwise spend their time waiting actively for each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import joblib

    with warnings.catch_warnings():
        # Another version is said once, in the model's notes, rather than once per tree of a forest.
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        return joblib.load(file)


def _threads() -> Any:
    """threadpoolctl comes with scikit-learn; it sees the libraries that are loaded by now."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


@contextmanager
def _installed(manifest: Manifest) -> Iterator[None]:
    extra = "tensorflow" if manifest.flavor == "keras" else "data"
    try:
        yield
    except ImportError as error:
        hint = f"pip install 'orchestrator[{extra}]'"
        raise OrchestratorError(f"this model needs {error.name or error}, which is not installed", hint=hint) from error
    except OrchestratorError:
        raise
    except Exception as error:  # Whatever an estimator does when it is loaded.
        raise OrchestratorError(f"the model's estimator cannot be loaded: {type(error).__name__}: {error}") from error


def _versions(flavor: str) -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES[flavor]:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _notes(manifest: Manifest) -> tuple[str, ...]:
    here = _versions(manifest.flavor)
    return tuple(
        f"trained with {package} {made}, this is {here[package]}"
        for package, made in manifest.versions.items()
        if package in here and here[package].split(".")[:2] != made.split(".")[:2]
    )


def _labels(classes: tuple[Class, ...], positions: NDArray[np.int64]) -> Array:
    if classes and all(isinstance(each, str) for each in classes):
        labels = np.empty(len(classes), dtype=object)
        labels[:] = classes
        return labels[positions]
    return np.array(classes)[positions] if classes else positions.astype(np.float64)
