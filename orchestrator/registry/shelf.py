"""Where the bytes of a version lie, longer than the run that made them and whatever becomes of the cache.

Beside a SQLite registry they are a folder, `models/<name>/<digest>/`: a plain copy, because a hard link would share the
fate of the original when somebody writes into it. A server keeps them as artifacts of the version's MLflow run.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator import digest
from orchestrator.errors import BackendError, NotFoundError, OrchestratorError
from orchestrator.registry import backend

_ARTIFACT = "model"


@dataclass(frozen=True, slots=True)
class Kept:
    """A model, or another form of it, that is kept: whose it is, what it is, and the MLflow run it belongs to."""

    name: str
    digest: str
    run: str
    # What the folder is called among the artifacts of that run.
    artifact: str = _ARTIFACT

    def under(self, root: Path) -> Path:
        """Its folder below `root`."""
        return root / self.name / self.digest.replace(":", "-")


class Shelf(Protocol):
    """Puts a model's folder where it stays, and finds it again."""

    def put(self, model: Path, kept: Kept) -> str:
        """Store the folder, completely or not at all, and return the source that MLflow is told."""

    def path(self, kept: Kept) -> Path:
        """The folder on this machine."""


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """Folders beside the database, found by name and digest: a project that was moved still finds its models."""

    root: Path

    def put(self, model: Path, kept: Kept) -> str:
        place = kept.under(self.root)
        # The registry's lock is held: what is half copied was left by a process that was killed.
        for leftover in place.parent.glob(".*.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        copy(model, place)
        return place.as_uri()

    def path(self, kept: Kept) -> Path:
        place = kept.under(self.root)
        if not place.is_dir():
            raise NotFoundError("model folder", str(place), hint="it was deleted; run the pipeline again")
        return place


@dataclass(frozen=True, slots=True)
class ArtifactShelf:
    """Artifacts of MLflow runs at `uri`; `root` holds what was downloaded."""

    uri: str
    root: Path

    def put(self, model: Path, kept: Kept) -> str:
        _checked(model)
        client = backend.client(self.uri)
        client.log_artifacts(kept.run, str(model), kept.artifact)
        return f"{client.get_run(kept.run).info.artifact_uri.rstrip('/')}/{kept.artifact}"

    def path(self, kept: Kept) -> Path:
        place = kept.under(self.root)
        if place.is_dir():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        arriving = place.with_name(f".{place.name}.{os.getpid()}")
        arriving.mkdir(exist_ok=True)
        try:
            copy(Path(backend.client(self.uri).download_artifacts(kept.run, kept.artifact, str(arriving))), place)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        return place


def copy(model: Path, place: Path) -> None:
    """Copy the folder to `place`: verified, on the disk, and moved there in one step."""
    wanted = _checked(model)
    if place.is_dir() and digest.of(place) == wanted:
        return
    arriving = place.with_name(f".{place.name}.{os.getpid()}.new")
    shutil.rmtree(arriving, ignore_errors=True)
    try:
        arriving.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(model, arriving)
        if digest.of(arriving) != wanted:
            raise BackendError("model registry", f"the copy of {model} differs from it", hint="is the disk sound?")
        _settle(arriving)
        if place.exists():  # damaged, or left by something that was not us
            place.rename(place.with_name(f".{place.name}.{os.getpid()}.old"))
        arriving.rename(place)
    except shutil.Error as error:  # what went wrong with each file, in a list of triples
        raise BackendError("model registry", f"cannot copy {model} to {place}: {error.args[0][0][2]}") from error
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
        shutil.rmtree(place.with_name(f".{place.name}.{os.getpid()}.old"), ignore_errors=True)


def _checked(folder: Path) -> str:
    """The digest of the folder; one that is not there, or empty, is no model."""
    if not folder.is_dir():
        raise NotFoundError("model folder", str(folder))
    if not digest.files(folder):
        raise OrchestratorError(f"the model folder {folder} is empty")
    return digest.of(folder)


def _settle(folder: Path) -> None:
    """Onto the disk before the rename, lest a power cut leave the name without the bytes."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
