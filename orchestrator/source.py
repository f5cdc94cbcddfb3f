"""YAML that remembers where each value was written, and documents checked against a model.

Values follow YAML 1.2's core schema: `yes`, `on` and `2024-01-01` are text, `1e3` is a number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from orchestrator import scalar
from orchestrator.errors import Location, PipelineError, Problem

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000  # After aliases are expanded: a thousand generous tasks need about a tenth of it.
MAX_DEPTH = 100
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

_PARSER: Any = getattr(yaml, "CLoader", yaml.Loader)

T = TypeVar("T", bound=BaseModel)


class Document(BaseModel):
    """The base of every file format: frozen, camelCase keys, no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True)


class Versioned(Document):
    """A file of ours begins with `apiVersion` and `kind`; subclasses narrow `kind`."""

    api_version: Literal["orchestrator/v1"]


@dataclass(slots=True)
class _Node:
    """One YAML value and its place; `value` is a scalar, a list of nodes, or key -> (key node, node)."""

    line: int
    column: int
    value: Any = None
    merged: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed YAML file: `data` is plain Python, `at` finds the place of any value in it."""

    file: str
    data: Any
    _root: _Node

    def at(self, *path: str | int, key: bool = False) -> Location:
        """The place of the value at `path` (of its key with `key`), or of its nearest parent that is there."""
        node = self._root
        place = node
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            key_node, node = found
            place = key_node if key and isinstance(part, str) else node
        return Location(self.file, place.line, place.column)


def read(path: Path, *, limit: int = MAX_BYTES, name: str = "") -> Source:
    """Read and parse a YAML file; `name` is how errors call it. Raises PipelineError."""
    shown = name or str(path)
    return parse(text(path, limit=limit, name=shown), shown)


def text(path: Path, *, limit: int = MAX_BYTES, name: str = "") -> str:
    """The text of a file that is no larger than `limit`. Raises PipelineError."""
    shown = name or str(path)
    try:
        size = path.stat().st_size
        if size > limit:
            message = f"the file has {size:,} bytes; at most {limit:,} are read"
            raise PipelineError([Problem(Location(shown), message, "is this the right file?")])
        raw = path.read_bytes()
    except FileNotFoundError:
        raise PipelineError([Problem(Location(shown), "the file does not exist")]) from None
    except OSError as error:
        raise PipelineError([Problem(Location(shown), f"cannot be read: {error.strerror}")]) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        place = Location(shown, line, 1)
        message = f"not a text file: byte 0x{raw[error.start]:02x} at offset {error.start} is not UTF-8"
        raise PipelineError([Problem(place, message)]) from error


def parse(text: str, name: str) -> Source:
    """Parse YAML text; `name` stands for the file in errors. Raises PipelineError with every problem found."""
    (found,) = _parsed(text, _Composer(name))
    return found


def documents(text: str, name: str, *, value: Callable[[str], Any] = scalar.value) -> tuple[Source, ...]:
    """Parse YAML text of any number of documents, empty ones left out; `value` says what a plain word means."""
    return tuple(found for found in _parsed(text, _Composer(name, several=True, value=value)) if found.data is not None)


def _parsed(text: str, composer: _Composer) -> list[Source]:
    name = composer.name
    try:
        roots = composer.compose(text)
    except yaml.MarkedYAMLError as error:
        raise PipelineError([_syntax(error, text, name)]) from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        problem = Problem(Location(name, line, 1), f"not a text file: {getattr(error, 'reason', error)}")
        raise PipelineError([problem]) from error
    if not roots:
        raise PipelineError([Problem(Location(name), "the file is empty")])
    if composer.problems:
        raise PipelineError(composer.problems)
    for root in roots:
        _refuse_bomb(root, name)
    return [Source(name, _plain(root), root) for root in roots]


def model(cls: type[T], source: Source) -> T:
    """The document as a `cls`; every mistake becomes a Problem with its place. Raises PipelineError."""
    from orchestrator import mistakes

    if not isinstance(source.data, Mapping):
        found = mistakes.describe(source.data)
        raise PipelineError([Problem(source.at(), f"expected a mapping of keys to values, not {found}")])
    try:
        # Through JSON, because only there strict types still take a list where a model holds a tuple.
        return cls.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        raise PipelineError(mistakes.problems(error, cls, source)) from error


class _Composer:
    """Builds nodes from libyaml's events, without recursion: no input can exhaust the stack."""

    def __init__(self, name: str, *, several: bool = False, value: Callable[[str], Any] = scalar.value) -> None:
        self.name = name
        self.several = several
        self.value = value
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Node] = {}
        self.stack: list[tuple[_Node, bool, list[_Node]]] = []
        self.roots: list[_Node] = []

    def compose(self, text: str) -> list[_Node]:
        documents = 0
        for event in yaml.parse(text, Loader=_PARSER):
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1 and not self.several:
                        self._problem(event, "a second document begins here", "one file holds one document: drop '---'")
                        return self.roots
                    self.anchors = {}
                case yaml.ScalarEvent():
                    self._add(self._anchored(event, self._scalar(event)))
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    node = self._anchored(event, _node(event))
                    self.stack.append((node, isinstance(event, yaml.MappingStartEvent), []))
                    if len(self.stack) > MAX_DEPTH:
                        self._problem(event, _TOO_DEEP)
                        return self.roots or [node]
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._close()
                case yaml.AliasEvent():
                    self._alias(event)
        return self.roots

    def _scalar(self, event: Any) -> _Node:
        node = _node(event)
        plain = event.implicit[0] and event.tag is None
        node.value = self.value(event.value) if plain else event.value
        return node

    def _anchored(self, event: Any, node: _Node) -> _Node:
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._problem(event, f"alias *{event.anchor} has no anchor &{event.anchor} before it")
            node = _node(event)
        elif any(node is open_node for open_node, _, _ in self.stack):
            self._problem(event, f"alias *{event.anchor} stands inside its own anchor")
            node = _node(event)
        self._add(node)

    def _add(self, node: _Node) -> None:
        if self.stack:
            self.stack[-1][2].append(node)
        else:
            self.roots.append(node)

    def _close(self) -> None:
        node, is_mapping, children = self.stack.pop()
        node.value = self._mapping(node, children) if is_mapping else children
        self._add(node)

    def _mapping(self, node: _Node, children: list[_Node]) -> dict[str, tuple[_Node, _Node]]:
        pairs: dict[str, tuple[_Node, _Node]] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.value == "<<":
                node.merged.extend(value.value if isinstance(value.value, list) else [value])
                continue
            if isinstance(key.value, (list, dict)):
                self._problem(key, "a key must be text, not a list or a mapping")
                continue
            name = key.value if isinstance(key.value, str) else _spelled(key.value)
            if name in pairs:
                first = pairs[name][0]
                self._problem(key, f"duplicate key {name!r}", f"first given in line {first.line}")
                continue
            pairs[name] = (key, value)
        for base in node.merged:
            if not isinstance(base.value, dict):
                self._problem(base, "'<<' merges mappings only")
                continue
            for name, pair in base.value.items():
                pairs.setdefault(name, pair)
        return pairs

    def _problem(self, place: Any, message: str, hint: str = "") -> None:
        node = place if isinstance(place, _Node) else _node(place)
        self.problems.append(Problem(Location(self.name, node.line, node.column), message, hint))


def _node(event: Any) -> _Node:
    return _Node(event.start_mark.line + 1, event.start_mark.column + 1)


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _child(node: _Node, part: str | int) -> tuple[_Node, _Node] | None:
    if isinstance(node.value, dict) and isinstance(part, str):
        found: tuple[_Node, _Node] | None = node.value.get(part)
        return found
    if isinstance(node.value, list) and isinstance(part, int) and -len(node.value) <= part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _children(node: _Node) -> Iterator[_Node]:
    if isinstance(node.value, dict):
        for _, child in node.value.values():
            yield child
    elif isinstance(node.value, list):
        yield from node.value


def _refuse_bomb(root: _Node, name: str) -> None:
    """Aliases let ten lines stand for a billion values: count what they expand to before building it."""
    sizes: dict[int, tuple[int, int]] = {}

    def measure(node: _Node) -> tuple[int, int]:
        """How many values a node expands to, and how deep."""
        known = sizes.get(id(node))
        if known is None:
            inside = [measure(child) for child in _children(node)]
            depth = 1 + max((deep for _, deep in inside), default=0)
            # An alias of something deep, deep inside: refused before anything runs out of stack.
            if depth > MAX_DEPTH:
                raise PipelineError([Problem(Location(name, node.line, node.column), _TOO_DEEP)])
            known = sizes[id(node)] = 1 + sum(size for size, _ in inside), depth
        return known

    if measure(root)[0] <= MAX_NODES:
        return
    node = root
    while large := [child for child in _children(node) if measure(child)[0] > MAX_NODES]:
        node = large[0]
    message = f"expands to more than {MAX_NODES:,} values"
    raise PipelineError([Problem(Location(name, node.line, node.column), message, "are there aliases of aliases?")])


def _plain(node: _Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(child) for key, (_, child) in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(child) for child in node.value]
    return node.value


def _syntax(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
    message = f"not valid YAML: {error.problem or error}"
    if error.context:
        message += f" ({error.context})"
    before = "".join(text.split("\n")[mark.line : mark.line + 1])[: mark.column + 1] if mark else ""
    hint = "indent with spaces, not tabs" if "\t" in before and not before.strip() else ""
    return Problem(place, message, hint)
