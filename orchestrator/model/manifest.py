"""`model.json`: what a model is, what it takes and gives, how it was made, and the digest of every other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model.signature import Signature
from orchestrator.model.transform import column, column_values

VERSION = 1
NAME = "model.json"

# The last two are programs that came with a model: a class, and the functions of an inference.py.
Flavor = Literal["sklearn", "keras", "onnx", "python", "handlers"]
Problem = Literal["classification", "regression", "clustering", "other"]
Class = str | bool | int


@dataclass(frozen=True, slots=True)
class Training:
    """What the model was trained on, and how."""

    rows: int = 0
    features: tuple[str, ...] = ()
    digest: str = ""
    seed: int = 0
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    # Rows left out because they had no target.
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Package:
    """A model that brings its own program: which file, and class, answers, what that needs, and a request it takes."""

    entry: str
    requirements: tuple[str, ...] = ()
    # The request lies in the folder as it is; this is its content type.
    content_type: str = "application/json"
    # Whether a person wrote the signature, so that requests are held to it; or it was read off the example.
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model in words and digests: enough to serve it, to judge it, and to refuse it."""

    flavor: Flavor
    algorithm: str
    problem: Problem
    signature: Signature
    target: str | None = None
    classes: tuple[Class, ...] | None = None
    example: tuple[Mapping[str, Any], ...] = ()
    training: Training = Training()
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    package: Package | None = None


def dump(manifest: Manifest) -> str:
    """The manifest as JSON text."""
    signature, training = manifest.signature, manifest.training
    document: dict[str, Any] = {
        "version": VERSION,
        "flavor": manifest.flavor,
        "algorithm": manifest.algorithm,
        "problem": manifest.problem,
        "target": manifest.target,
        "classes": None if manifest.classes is None else list(manifest.classes),
        "signature": {
            "inputs": [column_values(each) for each in signature.inputs],
            "outputs": [column_values(each) for each in signature.outputs],
            "ignored": list(signature.ignored),
        },
        "example": [dict(record) for record in manifest.example],
        "training": {
            "rows": training.rows,
            "dropped": training.dropped,
            "digest": training.digest,
            "seed": training.seed,
            "hyperparameters": dict(training.hyperparameters),
            "features": list(training.features),
        },
        "versions": dict(sorted(manifest.versions.items())),
        "files": dict(sorted(manifest.files.items())),
    }
    if manifest.package is not None:
        document["package"] = _package_values(manifest.package)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def load(text: str, *, name: str = NAME) -> Manifest:
    """The manifest a text describes; another format version is refused before anything else is read."""
    try:
        document = json.loads(text)
        version = document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise OrchestratorError(f"{name} is not the manifest of a model: {error}") from error
    if version != VERSION:
        hint = "update the program, or train the model again"
        raise OrchestratorError(f"{name} has format version {version!r}, this program reads {VERSION}", hint=hint)
    if document.get("flavor") not in get_args(Flavor) or document.get("problem") not in get_args(Problem):
        said = f"flavor {document.get('flavor')!r}, problem {document.get('problem')!r}"
        raise OrchestratorError(f"{name} describes a model that this program does not know: {said}")
    try:
        return _manifest(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise OrchestratorError(f"{name} is not the manifest of a model: {error!r}") from error


def read(folder: Path) -> Manifest:
    """The manifest of a model folder; nothing of the model itself is loaded."""
    path = folder / NAME
    try:
        return load(path.read_text(encoding="utf-8"), name=str(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError("model", str(folder), hint=f"a model is a folder with a {NAME}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OrchestratorError(f"{path} cannot be read: {error}") from error


def _manifest(document: Mapping[str, Any]) -> Manifest:
    signature, training, classes = document["signature"], document["training"], document["classes"]
    return Manifest(
        flavor=document["flavor"],
        algorithm=document["algorithm"],
        problem=document["problem"],
        target=document["target"],
        classes=None if classes is None else tuple(classes),
        signature=Signature(
            tuple(column(each) for each in signature["inputs"]),
            tuple(column(each) for each in signature["outputs"]),
            tuple(signature["ignored"]),
        ),
        example=tuple(document["example"]),
        training=Training(
            rows=training["rows"],
            dropped=training["dropped"],
            digest=training["digest"],
            seed=training["seed"],
            hyperparameters=training["hyperparameters"],
            features=tuple(training["features"]),
        ),
        versions=document["versions"],
        files=document["files"],
        package=_package(document["package"]) if "package" in document else None,
    )


def _package_values(package: Package) -> dict[str, Any]:
    return {
        "entry": package.entry,
        "requirements": list(package.requirements),
        "content_type": package.content_type,
        "declared": package.declared,
    }


def _package(document: Mapping[str, Any]) -> Package:
    return Package(
        entry=document["entry"],
        requirements=tuple(document["requirements"]),
        content_type=document["content_type"],
        declared=document["declared"],
    )
