"""The KFP IR and platform spec as typed, frozen values: load, dump, digest. What it does not know it refuses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from orchestrator import mistakes, source
from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.ir import platform as platform
from orchestrator.ir import spec as spec
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec

MAX_BYTES = 32 * 1024 * 1024  # What the KFP server accepts.
MAX_VALUES = 2_000_000  # Ten times what a specification of that size holds; aliases can stand for billions.
NO_PLATFORM = PlatformSpec.model_construct()

_MERGE = "tag:yaml.org,2002:merge"
_BETWEEN = "\n---\n"
_NAMED = re.compile(r"^[\"']?(pipelineInfo|deploymentSpec)[\"']?\s*:", re.MULTILINE)
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_SAFE):  # type: ignore[misc]
    """Reads a mapping as YAML means it, and not one in which a key stands twice: only one of its values would count."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        written, merges = len(node.value), any(key.tag == _MERGE for key, _ in node.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) < written and not merges:
            raise yaml.YAMLError("a key stands twice in a mapping")
        return mapping


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Writes equal values twice rather than as anchor and alias: KFP's readers want plain YAML."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def recognises(path: Path) -> bool:
    """Whether a file is a compiled specification: it has a key only they have at the outermost level."""
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_BYTES else ""
    except (OSError, UnicodeDecodeError):
        return False
    if text.lstrip()[:1] == "{":
        # A component nested in JSON cannot be told by its indentation, and no other key of ours is called so.
        return '"pipelineInfo"' in text
    return _NAMED.search(text) is not None


def read(path: Path) -> tuple[PipelineSpec, PlatformSpec]:
    """Load an IR file (YAML or JSON). Raises PipelineError."""
    shown = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PipelineError([Problem(Location(shown), f"larger than {MAX_BYTES // 2**20} MiB")])
        return load(path.read_text(encoding="utf-8"), shown)
    except UnicodeDecodeError as error:
        raise PipelineError([Problem(Location(shown), "not a text file: it is not UTF-8")]) from error
    except OSError as error:
        raise PipelineError([Problem(Location(shown), f"cannot be read: {error.strerror}")]) from error


def load(text: str, name: str = "<ir>") -> tuple[PipelineSpec, PlatformSpec]:
    """Parse IR text; `name` stands for the file in errors. Raises PipelineError."""
    try:
        documents = _compacted(text) or [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
    except (yaml.YAMLError, RecursionError) as error:
        source.parse(text, name)  # Says where, and why, better.
        raise PipelineError([Problem(Location(name), f"not valid YAML: {error}")]) from error
    if not _is_bounded(documents):
        problem = Problem(
            Location(name), f"expands to more than {MAX_VALUES:,} values", "are there aliases of aliases?"
        )
        raise PipelineError([problem])
    if not 1 <= len(documents) <= 2:
        count = "no document" if not documents else f"{len(documents)} documents"
        raise PipelineError([Problem(Location(name), f"expected a pipeline specification, found {count}")])
    loaded: list[Any] = []
    kinds: tuple[type[spec.Value], ...] = (PipelineSpec, PlatformSpec)
    for index, (document, cls) in enumerate(zip(documents, kinds, strict=False)):
        if not isinstance(document, dict):
            found = mistakes.describe(document)
            raise PipelineError([Problem(Location(name), f"expected a pipeline specification, not {found}")])
        try:
            loaded.append(cls.model_validate(document))
        except ValidationError as error:
            placed = source.parse(_document(text, index), name)
            raise PipelineError(mistakes.problems(error, cls, placed)) from error
    pipeline = loaded[0]
    return pipeline, loaded[1] if len(loaded) > 1 else NO_PLATFORM


def sources(text: str, name: str) -> list[source.Source]:
    """The documents of IR text that load has taken, with the place of each value. Raises PipelineError if too large."""
    count = len([each for each in yaml.load_all(text, Loader=_Loader) if each is not None])
    return [source.parse(_document(text, index), name) for index in range(count)]


def dump(pipeline: PipelineSpec, platform_spec: PlatformSpec = NO_PLATFORM) -> str:
    """The IR as YAML text that the KFP SDK, server and UI accept: one document, or two when a platform is spoken of."""
    documents = _documents(pipeline, platform_spec)
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=120)
    return text


def compact(pipeline: PipelineSpec, platform_spec: PlatformSpec = NO_PLATFORM) -> str:
    """The IR as a record keeps it: YAML that is JSON, document by document, and so written and read in no time.

    Keys stand as they were written: tasks that may begin together begin in that order.
    """
    return _BETWEEN.join(json.dumps(each, ensure_ascii=False) for each in _documents(pipeline, platform_spec))


def to_data(value: spec.Value) -> dict[str, Any]:
    """A message as plain data in JSON's names, without what was left at its default."""
    data: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, PipelineSpec):
        data.setdefault("schemaVersion", value.schema_version)
    return data


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON of a message or of plain data: equal values, equal digests."""
    data = to_data(value) if isinstance(value, spec.Value) else value
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _documents(pipeline: PipelineSpec, platform_spec: PlatformSpec) -> list[dict[str, Any]]:
    return [to_data(pipeline), *([to_data(platform_spec)] if platform_spec != NO_PLATFORM else [])]


def _compacted(text: str) -> list[Any]:
    """The documents of text that is JSON, document by document; none of any other."""
    if not text.startswith("{"):
        return []
    try:
        return [json.loads(part) for part in text.split(_BETWEEN)]
    except (ValueError, RecursionError):
        return []


def _is_bounded(documents: list[Any]) -> bool:
    """Whether plain data stays finite and affordable when everything that is shared in it is written out."""
    sizes: dict[int, int] = {}

    def size(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = MAX_VALUES + 1  # Met again before it is known, it contains itself.
            sizes[id(value)] = 1 + sum(map(size, value.values() if isinstance(value, dict) else value))
        return sizes[id(value)]

    try:
        return size(documents) <= MAX_VALUES
    except RecursionError:
        return False


def _document(text: str, index: int) -> str:
    """The text of one document, with blank lines before it so that line numbers stay true."""
    lines = text.splitlines()
    starts = [0] + [number + 1 for number, line in enumerate(lines) if line.rstrip() == "---"]
    if starts[1:2] == [1]:
        starts = starts[1:]
    begin = starts[index]
    end = starts[index + 1] - 1 if index + 1 < len(starts) else len(lines)
    return "\n" * begin + "\n".join(lines[begin:end])
