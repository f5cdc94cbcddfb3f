"""When a task's outputs may be used again: a key over everything that decides them."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import __version__, digest, ir
from orchestrator.errors import OrchestratorError
from orchestrator.ir.spec import Component, Container, Executor, Task
from orchestrator.runners.local import placeholders
from orchestrator.stores.artifacts import Artifact, Values
from orchestrator.stores.records import CacheEntry

_FORMAT = 2  # Raise it when the meaning of a key changes: old entries then miss.
_SMALL = 120  # Letters of a value that is kept as it is; of a longer one the digest does.

# Made once: json.dumps makes an encoder for each value, which costs more than the value.
_ENCODED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Key:
    """A cache key and what it is the digest of: small values, or digests of large ones, by name."""

    text: str = ""
    """"" when the task must not be cached."""
    parts: Mapping[str, str] = field(default_factory=dict)


def key(
    task: Task,
    component: Component,
    executor: Executor,
    given: Values,
    *,
    code: Mapping[str, str],
    replaced: Mapping[str, Any],
    pod: Mapping[str, str],
) -> Key:
    """The cache key of a task. `replaced` stands in for inputs that name the run; `code` are digests of files.

    `pod` are parts of what a platform document gives it.
    """
    options = task.caching_options
    if executor.container is None:
        return Key()
    enabled = options is not None and options.enable_cache and not _shares(executor.container)
    if options is not None and enabled and options.cache_key:
        return of({"format": str(_FORMAT), "component": task.component_ref.name, "key": options.cache_key})
    parts = {
        "format": str(_FORMAT),
        "orc": __version__,
        "inputs": ir.digest(component.input_definitions),
        "outputs": ir.digest(component.output_definitions),
        **_program(executor.container),
    }
    parts |= pod
    for name, content in code.items():
        parts[f"file {name}"] = content
    for name, value in {**given.parameters, **replaced}.items():
        parts[f"parameter {name}"] = _small(_canonical(value))
    for name, listed in given.artifacts.items():
        parts[f"artifact {name}"] = " ".join([each.digest for each in listed])
        parts[f"about {name}"] = _small([[each.type, dict(each.metadata)] for each in listed])
    # A task that must not be cached is still known again by its parts, by a run that takes over from another.
    return of(parts) if enabled else Key("", parts)


def of(parts: Mapping[str, str]) -> Key:
    """The key of these parts: equal parts, equal keys, so that a miss can be told by the part that differs."""
    return Key(ir.digest(dict(parts)), parts)


def importer(uri: str, type: str, metadata: Mapping[str, Any]) -> Key:
    """The key of what is imported; the content behind the URI is verified when the entry is used."""
    return of({"uri": uri, "type": type, "metadata": _small(dict(metadata))})


def refusal(entry: CacheEntry, ttl: float, now: float, intact: Callable[[Artifact], bool]) -> str:
    """Why an entry under the right key is not used; "" when it is."""
    for artifact in (each for listed in entry.outputs.artifacts.values() for each in listed):
        if not intact(artifact):
            return f"an artifact of run {entry.run} was changed or removed: {artifact.path}"
    if ttl and now - entry.created > ttl:
        return f"the entry of run {entry.run} was {_days(now - entry.created)} old, its time to live is {_days(ttl)}"
    return ""


def _days(seconds: float) -> str:
    """A length of time as a pipeline file says it: the largest unit of which there is at least one."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + unit
    return f"{seconds:.1f}".removesuffix(".0") + "s"


def pointed(given: Values, pointer: Callable[[str], str]) -> dict[str, Any]:
    """Parameters that name something by an alias, with what it points to: a champion that changed is another input.

    One that points to an input of the very task counts as none. So a run that published its model and is started
    again finds everything in the cache: its model is now the champion, and to compare it with itself says nothing.
    """
    own = {artifact.digest for row in given.artifacts.values() for artifact in row}
    found = {name: pointer(value) for name, value in given.parameters.items() if isinstance(value, str)}
    return {name: [given.parameters[name], digest] for name, digest in found.items() if digest and digest not in own}


def seconds(duration: str) -> float:
    """A protobuf duration such as `604800s` in seconds; 0 when empty."""
    return float(duration.removesuffix("s")) if duration else 0.0


def code(container: Container, code_paths: Sequence[Path]) -> dict[str, str]:
    """The digests of the files behind `python -m MODULE`, and of the neighbours they import; of other commands none."""
    words = [*container.command, *container.args[:2]]
    for flag, module in itertools.pairwise(words):
        if flag == "-m":
            found = sorted(set(_files(module, tuple(code_paths))))
            # Half a digest tells files apart, and a thousand tasks may have dozens each.
            return {name: _file_digest(path, _touched(path))[:32] for name, path in found}
    return {}


def _shares(container: Container) -> bool:
    """Whether a program works in the run's workspace: what it leaves there, and finds there, is no output or input."""
    texts = [*container.command, *container.args, *(each.value for each in container.env)]
    return any(placeholders.WORKSPACE in text or placeholders.MOUNT in text for text in texts)


def _program(container: Container) -> dict[str, str]:
    """What of a container decides its outputs: not its size, which only decides how fast they come."""
    data = ir.to_data(container)
    data.pop("resources", None)
    data.pop("env", None)
    parts = {"image": str(data.pop("image", "")), "command": _small(data)}
    for each in container.env:
        parts[f"variable {each.name}"] = _small(each.value)
    return parts


def _small(value: Any) -> str:
    text = _ENCODED(value)
    return text if len(text) <= _SMALL else f"sha256:{digest.of_text(text)}"


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return {"number": repr(value)}
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return value


def _files(module: str, code_paths: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Every file of a module's package, and of the packages beside it that it imports, named by module path."""
    todo, seen = [module], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        place = _find(name, code_paths)
        if place is None:
            continue
        listed = [place] if place.is_file() else sorted(file for file in digest.files(place) if _is_code(file))
        for file in listed:
            yield f"{name}/{file.relative_to(place if place.is_dir() else place.parent).as_posix()}", file
            if file.suffix == ".py":
                neighbours = _imports(file, _touched(file))
                todo += [each for each in neighbours if each.split(".")[0] == name.split(".")[0]]


def _find(module: str, code_paths: tuple[Path, ...]) -> Path | None:
    relative = Path(*module.split("."))
    for root in code_paths:
        if (root / relative).is_dir():
            return root / relative
        if (root / relative).with_suffix(".py").is_file():
            return (root / relative).with_suffix(".py")
    return None


def _is_code(file: Path) -> bool:
    return "__pycache__" not in file.parts and not file.name.startswith(".") and file.suffix != ".pyc"


def _touched(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise OrchestratorError(f"cannot read {file}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=4096)
def _file_digest(file: Path, _touched: tuple[int, int]) -> str:
    return digest.of_file(file)


@functools.lru_cache(maxsize=4096)
def _imports(file: Path, _touched: tuple[int, int]) -> tuple[str, ...]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return ()  # The task will say so itself.
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(_package(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            parts = node.module.split(".")
            names.update([_package(node.module)] if len(parts) > 1 else [f"{parts[0]}.{a.name}" for a in node.names])
    return tuple(sorted(names))


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2])
