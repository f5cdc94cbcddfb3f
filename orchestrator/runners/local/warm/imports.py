"""What a program imports before it does anything, and in which order servers should load it. Pure but for reading code.

A server that has loaded what many components share can fork the servers of each. So imports are put in groups by the
set of programs that use them, those that most use first.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

Import = tuple[str, str]
"""`import a.b` is ("a.b", ""), `from a import b` is ("a", "b")."""
Group = tuple[Import, ...]


def of_text(source: str, package: str = "") -> list[Import]:
    """The imports that running a module's text begins with: those on its top level, under no condition."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []  # The task will say so itself.
    return list(dict.fromkeys(_of(tree.body, package)))


def of_function(source: str, name: str) -> list[Import]:
    """As `of_text`, with what a function of it imports before it does anything else."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    bodies = [each.body for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name]
    return list(dict.fromkeys([*_of(tree.body, ""), *(found for body in bodies for found in _of(body, ""))]))


def of_module(module: str, code_paths: Sequence[Path]) -> list[Import]:
    """What a program started as `-m MODULE` imports from elsewhere, through the files beside it that it imports."""
    own = module.partition(".")[0]
    todo, seen, found = [(module, True)], set(), {}
    while todo:
        name, is_program = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for file, package in _files(name, code_paths, is_program=is_program):
            for each in of_text(_text(file), package):
                if each[0].partition(".")[0] != own:
                    found[each] = True
                    continue
                todo += [(each[0], False), *([(f"{each[0]}.{each[1]}", False)] if each[1] else [])]
    return list(found)


def of_file(file: Path) -> list[Import]:
    """As `of_text`, of a file."""
    return of_text(_text(file))


def groups(programs: Mapping[str, Sequence[Import]]) -> dict[str, tuple[Group, ...]]:
    """What each program's server loads, group by group; programs that share groups share the servers of these.

    A group of its own costs two forks. So a package that several programs use gets one, for what all of them import of
    it, together with the packages that the same programs use; all the rest, and the standard library, comes last.
    """
    users: dict[str, tuple[str, ...]] = {}
    for name, imports in programs.items():
        for package in dict.fromkeys(map(_package, imports)):
            users[package] = (*users.get(package, ()), name)
    shared = [each for each, names in users.items() if len(names) > 1 and each not in sys.stdlib_module_names]
    # Groups used by most come first; by their users' names, so that the order is the same for all of them.
    order = sorted(shared, key=lambda each: (-len(users[each]), users[each]))
    grouped = []
    for names, packages in groupby(order, key=lambda each: users[each]):
        common = set.intersection(*(set(programs[name]) for name in names))
        wanted = set(packages)
        grouped.append((set(names), tuple(e for e in programs[names[0]] if e in common and _package(e) in wanted)))
    return {name: _for(name, imports, grouped) for name, imports in programs.items()}


def _package(each: Import) -> str:
    return each[0].partition(".")[0]


def _for(name: str, imports: Sequence[Import], grouped: Sequence[tuple[set[str], Group]]) -> tuple[Group, ...]:
    taken = [group for names, group in grouped if name in names and group]
    rest = tuple(each for each in imports if not any(each in group for group in taken))
    return (*taken, rest) if rest else tuple(taken)


def _of(body: Sequence[ast.stmt], package: str) -> Iterator[Import]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from ((alias.name, "") for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
            base = _base(statement, package)
            if base:
                yield from ((base, alias.name) for alias in statement.names)


def _base(statement: ast.ImportFrom, package: str) -> str:
    """The module of `from ... import`, a relative one told from its package."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".") if package else []
    if statement.level - 1 >= len(parts):
        return ""
    return ".".join([*parts[: len(parts) - statement.level + 1], *([statement.module] if statement.module else [])])


def _files(module: str, code_paths: Sequence[Path], *, is_program: bool) -> Iterator[tuple[Path, str]]:
    """The files that are run when a module is imported, or started, with the package each belongs to."""
    relative = Path(*module.split("."))
    for root in code_paths:
        folder, file = root / relative, (root / relative).with_suffix(".py")
        if folder.is_dir():
            for name in ["__init__.py", *(["__main__.py"] if is_program else [])]:
                if (folder / name).is_file():
                    yield folder / name, module
            return
        if file.is_file():
            yield file, module.rpartition(".")[0]
            return


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
