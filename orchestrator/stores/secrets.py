"""Secrets and config maps for this machine: a file of manifests, as `kubectl get secret NAME -o yaml` prints them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator import source
from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.settings import Settings
from orchestrator.source import Source

USUAL = "secrets.yaml"
"""The file in the state folder that is read when no setting names another."""
MASK = "***"

Holder = tuple[str, str]
"""A kind and a name, such as `("Secret", "database")`."""

_KINDS = ("Secret", "ConfigMap")
_ENCODED = {("Secret", "data"), ("ConfigMap", "binaryData")}
_FIELDS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}
_MANIFEST = re.compile(r"apiVersion:\s*[\"']?v1[\"']?\s*$")
_KEY = re.compile(r"[-._A-Za-z0-9]+")
_SHORTEST = 4  # A shorter value is in too many words to be hidden in all of them.


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the file holds."""

    file: Path
    holders: Mapping[Holder, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    is_open: bool = False
    """Whether others than the owner may read the file."""

    def find(self, kind: str, name: str) -> Mapping[str, bytes] | None:
        """The keys and values of a secret or a config map; None when the file does not have it."""
        return self.holders.get((kind, name))

    def values(self) -> list[bytes]:
        """Everything that is secret."""
        return [value for (kind, _), held in self.holders.items() if kind == "Secret" for value in held.values()]


def path(settings: Settings) -> Path:
    """Where the file is, or would be."""
    return settings.secrets or settings.state / USUAL


def read(settings: Settings) -> Secrets:
    """The secrets and config maps of this machine. Raises PipelineError for a file that cannot be used."""
    file = path(settings)
    return Secrets(file) if settings.secrets is None and not file.exists() else load(file)


def recognises(file: Path) -> bool:
    """Whether a file is one of manifests: Kubernetes' first version of its API is named at the outermost level."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            return any(_MANIFEST.match(line) for line in stream)
    except (OSError, UnicodeDecodeError):
        return False


def load(file: Path) -> Secrets:
    """The secrets and config maps of a file. Raises PipelineError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        is_open = bool(file.stat().st_mode & 0o077)
    except FileNotFoundError:
        hint = "the setting `secrets` names it (orc.toml or ORC_SECRETS)"
        raise PipelineError([Problem(Location(str(file)), "the file does not exist", hint)]) from None
    except UnicodeDecodeError as error:
        raise PipelineError([Problem(Location(str(file)), "not a text file: it is not UTF-8")]) from error
    except OSError as error:
        raise PipelineError([Problem(Location(str(file)), f"cannot be read: {error.strerror}")]) from error
    return Secrets(file, MappingProxyType(parse(text, str(file))), is_open)


def parse(text: str, name: str) -> dict[Holder, Mapping[str, bytes]]:
    """The secrets and config maps in a text; `name` stands for the file in errors. Raises PipelineError."""
    problems: list[Problem] = []
    found: dict[Holder, Mapping[str, bytes]] = {}
    for document in _documents(text, name):
        for place, manifest in _manifests(document):
            holder = _holder(document, place, manifest, problems)
            if holder in found:
                again = f"the {spoken(holder[0])} {holder[1]!r} is given twice"
                problems.append(Problem(document.at(*place, "metadata", "name"), again))
            if holder:
                found[holder] = dict(_values(document, place, manifest, holder[0], problems))
    if problems:
        raise PipelineError(problems)
    return found


def spoken(kind: str) -> str:
    """What a kind is called in a sentence."""
    return {"Secret": "secret", "ConfigMap": "config map"}.get(kind, kind)


def salt(state: Path) -> bytes:
    """What digests of secrets are made with: random, made once per state folder, readable by its owner alone."""
    file = state / "salt"
    with contextlib.suppress(FileNotFoundError):
        return file.read_bytes()
    state.mkdir(parents=True, exist_ok=True)
    mine = file.with_name(f".salt-{os.getpid()}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, secrets.token_bytes(32))
    os.close(descriptor)
    # Whole or not at all, and of two runs that start together the first one's counts.
    with contextlib.suppress(FileExistsError):
        os.link(mine, file)
    mine.unlink()
    return file.read_bytes()


def sealed(value: bytes, salt: bytes) -> str:
    """A digest by which a value can be compared with itself, and guessed by nobody who has only the record."""
    return hmac.new(salt, value, hashlib.sha256).hexdigest()


def masked(text: str, values: Iterable[bytes]) -> str:
    """A text without the secrets in it, nor the lines of one that has several."""
    told = [value.decode("utf-8", "replace").strip() for value in values]
    whole = {value for value in told if len(value) >= _SHORTEST}
    lines = {line.strip() for value in told for line in value.splitlines() if len(line.strip()) >= 2 * _SHORTEST}
    for value in sorted(whole | lines, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _documents(text: str, name: str) -> Iterator[Source]:
    """Each document of the file; blank lines before it keep line numbers true."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"---(\s|$)", line)]
    for begin, end in zip([-1, *starts], [*starts, len(lines)], strict=True):
        body = lines[begin + 1 : end]
        if any(line.strip() and not line.lstrip().startswith("#") for line in body):
            yield source.parse("\n" * (begin + 1) + "\n".join(body), name)


def _manifests(document: Source) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The manifests of a document, those of a `List` one by one, with their places."""
    data = document.data
    items = data.get("items") if isinstance(data, Mapping) and str(data.get("kind", "")).endswith("List") else None
    if isinstance(items, list):
        yield from ((("items", number), item) for number, item in enumerate(items))
    else:
        yield (), data


def _holder(document: Source, place: tuple[str | int, ...], manifest: Any, problems: list[Problem]) -> Holder | None:
    kind = manifest.get("kind") if isinstance(manifest, Mapping) else None
    if not isinstance(manifest, Mapping) or kind not in _KINDS or manifest.get("apiVersion") != "v1":
        hint = "`kubectl get secret NAME -o yaml` prints one"
        message = "expected a Kubernetes manifest of kind Secret or ConfigMap, apiVersion v1"
        problems.append(Problem(document.at(*place, "kind"), message, hint))
        return None
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        problems.append(Problem(document.at(*place, "metadata"), f"the {kind} has no `metadata.name`"))
        return None
    return kind, name


def _values(
    document: Source, place: tuple[str | int, ...], manifest: Mapping[str, Any], kind: str, problems: list[Problem]
) -> Iterator[tuple[str, bytes]]:
    for section in _FIELDS[kind]:
        held = manifest.get(section)
        if held is None:
            continue
        if not isinstance(held, Mapping):
            problems.append(Problem(document.at(*place, section), f"`{section}` is a mapping of keys to texts"))
            continue
        for key, value in held.items():
            at = document.at(*place, section, key)
            if not _KEY.fullmatch(key) or key in (".", ".."):
                problems.append(Problem(at, f"{key!r} is no key: letters, digits, '-', '_' and '.'"))
            elif not isinstance(value, str):
                problems.append(Problem(at, f"the value of {key!r} is not text", "write it in quotes"))
            elif (kind, section) in _ENCODED:
                try:
                    yield key, base64.b64decode("".join(value.split()), validate=True)
                except (binascii.Error, ValueError):
                    hint = "under `stringData` it is written as it is" if kind == "Secret" else ""
                    problems.append(Problem(at, f"the value of {key!r} is not base64", hint))
            else:
                yield key, value.encode("utf-8")
