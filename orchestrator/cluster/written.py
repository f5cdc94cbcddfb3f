"""Objects as somebody wrote them, with the place of every field: files, folders, kustomizations, standard input."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import scalar, source
from orchestrator.cluster.objects import Manifest
from orchestrator.errors import BackendError, Location, OrchestratorError, PipelineError, Problem
from orchestrator.source import Source

STDIN = "-"
_STDIN_NAME = "(standard input)"
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_ENDINGS = (".yaml", ".yml", ".json")
_SECONDS = 120
# Whole installations of an operator are one file of some megabytes.
_LIMIT = 32 * 1024 * 1024
_OCTAL = re.compile(r"0[0-7]+")
_PART = re.compile(r"\[(?P<inside>(?:\"[^\"]*\"|[^\]])*)\]|(?P<name>[^.\[\]]+)")
_KEY = re.compile(r'(\w+)=(?:"([^"]*)"|([^,]*))')


@dataclass(frozen=True, slots=True)
class Written:
    """One object and where it was written."""

    manifest: Manifest
    file: str
    source: Source | None = None
    """The document it is in; None where a program made it."""
    path: tuple[str | int, ...] = ()
    """Where it is in the document, which may be a list of objects."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a file of ours rather than an object of Kubernetes."""
        return str(self.manifest.get("apiVersion", "")).startswith("orchestrator/")

    def at(self, field: str = "") -> Location:
        """The place of a field as the API server names it, or of its nearest parent that was written."""
        if self.source is None:
            return Location(self.file)
        return self.source.at(*self.path, *keys(field, self.manifest), key=bool(field))


def read(named: Sequence[str]) -> tuple[Written, ...]:
    """The objects of files and folders, `-` for standard input. Raises PipelineError with all that is wrong in them."""
    found: list[Written] = []
    problems: list[Problem] = []
    for name in named:
        try:
            found.extend(_read(name))
        except PipelineError as error:
            problems.extend(error.problems)
    problems.extend(_twice(found))
    if problems:
        raise PipelineError(problems)
    return tuple(found)


def _read(name: str) -> Iterator[Written]:
    path = Path(name)
    if name == STDIN:
        yield from objects(_stdin(), _STDIN_NAME)
    elif not path.is_dir():
        yield from objects(source.text(path, limit=_LIMIT), name)
    elif any((path / each).is_file() for each in _KUSTOMIZATIONS):
        yield from (Written(each.manifest, name) for each in objects(_built(path), name))
    else:
        yield from _folder(path)


def objects(text: str, name: str) -> list[Written]:
    """The objects of a text of any number of documents. Raises PipelineError."""
    documents = source.documents(text, name, value=_word)
    found = [each for document in documents for each in _inside(document, document.data, ())]
    problems = [problem for each in found for problem in _wrong(each)]
    if not found and not problems:
        problems = [Problem(Location(name), "there is no object in it")]
    if problems:
        raise PipelineError(problems)
    return found


def _inside(document: Source, data: Any, path: tuple[str | int, ...]) -> Iterator[Written]:
    """The object, or those of a list of objects."""
    if isinstance(data, Mapping) and data.get("kind") == "List" and isinstance(data.get("items"), list):
        for index, each in enumerate(data["items"]):
            yield from _inside(document, each, (*path, "items", index))
        return
    yield Written(data, document.file, document, path)


def _wrong(written: Written) -> Iterator[Problem]:
    data, at = written.manifest, written.at()
    if not isinstance(data, Mapping):
        yield Problem(at, "expected an object of Kubernetes: apiVersion, kind, metadata")
        return
    for key in ("apiVersion", "kind"):
        if not isinstance(data.get(key), str) or not data[key]:
            yield Problem(at, f"{key} is missing" if key not in data else f"{key} must be text", _kind_hint(data))
            return
    metadata = data.get("metadata")
    if written.is_ours:
        return
    if not isinstance(metadata, Mapping):
        yield Problem(at, f"{data['kind']} has no metadata, so it has no name")
    elif not isinstance(metadata.get("name"), str) or not metadata["name"]:
        hint = (
            "generateName gives a new name each time; apply needs one that stays" if "generateName" in metadata else ""
        )
        yield Problem(written.at("metadata"), f"{data['kind']} has no metadata.name", hint)


def _kind_hint(data: Mapping[str, Any]) -> str:
    if "resources" in data or "namePrefix" in data:
        return "a kustomization is given by its folder"
    if {"pipelineInfo", "root"} & set(data):
        return "a compiled pipeline is uploaded, not applied: orc compile --format manifest"
    return "values of a Helm chart are given to helm" if not {"apiVersion", "kind"} & set(data) else ""


def _twice(found: Sequence[Written]) -> Iterator[Problem]:
    """The same object twice would be applied twice, and the last would win in silence."""
    first: dict[tuple[str, ...], Written] = {}
    for each in found:
        metadata = each.manifest.get("metadata") or {}
        group = str(each.manifest["apiVersion"]).rpartition("/")[0]
        key = (group, str(each.manifest["kind"]), str(metadata.get("namespace", "")), str(metadata.get("name", "")))
        if before := first.get(key):
            yield Problem(each.at("metadata.name"), f"{key[1]} {key[3]} is there twice", f"first in {before.at()}")
        first.setdefault(key, each)


def _folder(path: Path) -> Iterator[Written]:
    files = sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and each.is_file())
    if not files:
        message = "there is no file of objects in the folder"
        raise PipelineError([Problem(Location(str(path)), message, f"files end with {', '.join(_ENDINGS)}")])
    for each in files:
        yield from objects(source.text(each, limit=_LIMIT), str(each))


def _built(folder: Path) -> str:
    """What a kustomization makes, by the tool that its users have."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        try:
            done = subprocess.run(
                [*command, str(folder)],
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            continue
        except subprocess.TimeoutExpired as error:
            raise BackendError(command[0], f"{folder} was not built within {_SECONDS} s") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.removeprefix("error: ").split())
            raise PipelineError([Problem(Location(str(folder)), f"{command[0]} cannot build it: {said}")])
        return done.stdout
    hint = "install kubectl, or build it elsewhere and give the result: kubectl kustomize FOLDER | orc apply -"
    raise OrchestratorError(f"{folder} is a kustomization, and there is neither kubectl nor kustomize here", hint=hint)


def _stdin() -> str:
    raw = sys.stdin.buffer.read(_LIMIT + 1)
    if len(raw) > _LIMIT:
        raise PipelineError([Problem(Location(_STDIN_NAME), f"more than {_LIMIT:,} bytes")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError([Problem(Location(_STDIN_NAME), "not a text")]) from error


def _word(text: str) -> Any:
    """A plain word as kubectl reads it: 0644 are the bits of a file's mode."""
    return int(text, 8) if _OCTAL.fullmatch(text) else scalar.value(text)


def keys(field: str, manifest: Any) -> Iterator[str | int]:
    """The keys and indices that a field of the API server's stands for: `spec.containers[name="web"].image`."""
    value = manifest
    for part in _PART.finditer(field):
        key: str | int | None = part["name"]
        if key is None:
            key = _element(part["inside"], value)
        if key is None:
            return
        yield key
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            value = None


def _element(inside: str, value: Any) -> str | int | None:
    """Which element of a list, or key of a mapping, brackets stand for."""
    if inside.isdigit():
        return int(inside)
    wanted = {name: quoted or plain for name, quoted, plain in _KEY.findall(inside)}
    if isinstance(value, list):
        for index, each in enumerate(value):
            # A key that the server fills in (protocol: TCP) need not have been written.
            if isinstance(each, Mapping) and all(str(each.get(name, given)) == given for name, given in wanted.items()):
                return index
        return None
    return inside.strip('"')
