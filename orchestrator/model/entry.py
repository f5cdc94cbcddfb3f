"""Which file of a model's own program answers requests: found by reading the code, which is not run for that."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.errors import NotFoundError, OrchestratorError, did_you_mean

HANDLERS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
# Where SageMaker looks, and where people put it.
FOLDERS = ("code", ".")
FIRST = "inference.py"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of functions (`handlers`), or a class in a file (`python`)."""

    flavor: Literal["python", "handlers"]
    file: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.name}" if self.name else self.file


def parse(text: str) -> tuple[str, str]:
    """The file and the class of an entry as it is written: `model.py:Penguins`, or `code/inference.py`."""
    file, _, name = text.partition(":")
    return file.strip().removeprefix("./"), name.strip()


def find(root: Path, asked: str = "") -> Entry:
    """The entry of the program below `root`; `asked` names it where there are several. Raises OrchestratorError."""
    if asked:
        return _asked(root, *parse(asked))
    handlers: list[Entry] = []
    classes: list[Entry] = []
    for file in _files(root):
        tree = _tree(root, file)
        if _handlers(tree):
            handlers.append(Entry("handlers", file))
        classes += [Entry("python", file, name) for name in _classes(tree)]
    if handlers and (len(handlers) == 1 or handlers[0].file.endswith(FIRST)):
        return handlers[0]
    found = handlers or classes
    if len(found) == 1:
        return found[0]
    if not found:
        hint = f"it takes {FIRST} with model_fn, or a file with a class that has load and predict"
        raise OrchestratorError(f"nothing in {root} answers requests", hint=hint)
    listed = ", ".join(map(str, found))
    raise OrchestratorError(f"several programs could answer: {listed}", hint=f"name one: --entry {found[0]}")


def _asked(root: Path, file: str, name: str) -> Entry:
    known = _files(root)
    inside = (root / file).resolve().is_relative_to(root.resolve())
    if not inside or not file.endswith(".py") or not (root / file).is_file():
        raise NotFoundError("file of code", file, known=known)
    tree = _tree(root, file)
    if not name and _handlers(tree):
        return Entry("handlers", file)
    classes = _classes(tree)
    if name and name not in _names(tree):
        hint = did_you_mean(name, classes)
        raise OrchestratorError(f"{file} has no class {name!r}", hint=hint or f"it has: {', '.join(classes) or 'none'}")
    if name or len(classes) == 1:
        return Entry("python", file, name or classes[0])
    what = f"several classes that could answer: {', '.join(classes)}" if classes else "neither model_fn nor a class"
    raise OrchestratorError(f"{file} has {what}", hint=f"name the class: --entry {file}:CLASS")


def _files(root: Path) -> list[str]:
    """The files of code at the top and in `code`, the usual ones first."""
    found = [
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in sorted((root / folder).glob("*.py"), key=lambda path: (path.name != FIRST, path.name))
        if path.is_file() and path.name != "setup.py" and not path.name.startswith("test_")
    ]
    return list(dict.fromkeys(found))


def _tree(root: Path, file: str) -> ast.Module:
    try:
        return ast.parse((root / file).read_bytes(), file)
    except SyntaxError as error:
        raise OrchestratorError(f"{file}:{error.lineno or 1}:{error.offset or 1}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise OrchestratorError(f"{file} is not Python: {error}") from error


def _handlers(tree: ast.Module) -> bool:
    return bool({"model_fn", "transform_fn", "predict_fn"}.intersection(_names(tree)))


def _classes(tree: ast.Module) -> list[str]:
    """The classes that predict, without those that others in the file are made of."""
    defined = [each for each in _statements(tree.body) if isinstance(each, ast.ClassDef)]
    bases = {_last(base) for each in defined for base in each.bases}
    predicting: set[str] = set()
    for each in defined:
        methods = {one.name for one in each.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        inherited = {_last(base) for base in each.bases}
        if "predict" in methods or inherited & predicting:
            predicting.add(each.name)
    return [each.name for each in defined if each.name in predicting and each.name not in bases]


def _names(tree: ast.Module) -> set[str]:
    """What the module's own level defines or imports."""
    names: set[str] = set()
    for each in _statements(tree.body):
        match each:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(each.name)
            case ast.ImportFrom() | ast.Import():
                names |= {alias.asname or alias.name for alias in each.names}
            case ast.Assign():
                names |= {target.id for target in each.targets if isinstance(target, ast.Name)}
    return names


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for each in body:
        yield each
        if isinstance(each, ast.If | ast.Try):
            yield from _statements([*each.body, *each.orelse])


def _last(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
