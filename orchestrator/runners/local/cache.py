"""When a task's outputs may be used again: a key over everything that decides them."""

from __future__ import annotations

import ast
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator import __version__, digest, ir
from orchestrator.errors import OrchestratorError
from orchestrator.ir.spec import Component, Container, Executor, Task
from orchestrator.stores.artifacts import Values

_FORMAT = 1  # Raise it when the meaning of a key changes: old entries then miss.


def key(
    task: Task, component: Component, executor: Executor, given: Values, *, code: str, replaced: Mapping[str, Any]
) -> str:
    """The cache key of a task; "" when it must not be cached. `replaced` stands in for inputs that name the run."""
    options = task.caching_options
    if options is None or not options.enable_cache or executor.container is None:
        return ""
    if options.cache_key:
        return ir.digest({"format": _FORMAT, "component": task.component_ref.name, "key": options.cache_key})
    artifacts = {
        name: [[each.digest, each.type, dict(each.metadata)] for each in listed]
        for name, listed in given.artifacts.items()
    }
    parts = {
        "format": _FORMAT,
        "version": __version__,
        "interface": [ir.to_data(component.input_definitions), ir.to_data(component.output_definitions)],
        "container": _program(executor.container),
        "code": code,
        "parameters": {name: _canonical(value) for name, value in {**given.parameters, **replaced}.items()},
        "artifacts": artifacts,
    }
    return ir.digest(parts)


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


def code_digest(container: Container, code_paths: Sequence[Path]) -> str:
    """The digest of the files behind `python -m MODULE`, with the neighbours they import; "" for other commands."""
    words = [*container.command, *container.args[:2]]
    for flag, module in itertools.pairwise(words):
        if flag == "-m":
            found = sorted(set(_files(module, tuple(code_paths))))
            return digest.of_text("\n".join(f"{name} {_file_digest(path, _touched(path))}" for name, path in found))
    return ""


def _program(container: Container) -> dict[str, Any]:
    """What of a container decides its outputs: not its size, which only decides how fast they come."""
    data = ir.to_data(container)
    data.pop("resources", None)
    return data


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
