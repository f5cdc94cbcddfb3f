"""Inside the image that is being built: takes away what no program needs, compiles the rest, and misses packages early.

`prepare.py packages` readies the environment this Python is in; `prepare.py code FOLDER` our code. Needs nothing.
"""

from __future__ import annotations

import ast
import compileall
import importlib.util
import py_compile
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_TESTED = ("great_expectations", "joblib", "numpy", "pandas", "pyarrow", "scipy", "sklearn")
"""Packages whose tests lie beside their code and are as large; nothing imports them."""
_SOURCES = {".c", ".cpp", ".cu", ".f", ".f90", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"}
_PLACE = Path("orchestrator.pth")
# By checksum of the source and not by time: layers are made anew, and their times with them.
_MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


def packages() -> int:
    """Trim and compile the packages of this environment, and tell it where our code will be. The exit code."""
    site = Path(sysconfig.get_paths()["purelib"])
    (site / _PLACE).write_text("/opt/code\n", encoding="utf-8")
    for name in _TESTED:
        for folder in [*(site / name).rglob("tests")]:
            if folder.is_dir():
                shutil.rmtree(folder)
        for file in [*(site / name).rglob("*")]:
            if file.suffix in _SOURCES and file.is_file():
                file.unlink()
    # Some packages hold files for other Pythons, which do not compile here and are not used either.
    compileall.compile_dir(site, quiet=2, workers=0, invalidation_mode=_MODE)
    return 0


def code(root: Path) -> int:
    """Compile our code, and look whether what it imports is there. The exit code."""
    if not compileall.compile_dir(root, quiet=1, workers=0, invalidation_mode=_MODE):
        return 1
    lacking = missing(root)
    for name, file in lacking.items():
        print(f"error: {file} imports {name}, which no requirements.txt asks for", file=sys.stderr)
    return 1 if lacking else 0


def missing(root: Path) -> dict[str, str]:
    """The modules that components import when they start and that are not there, and a file that does.

    What is imported within a function is left alone: not every program needs it. And so is `orchestrator`, which holds
    the parts of more than one program.
    """
    found: dict[str, str] = {}
    for file in sorted(root.rglob("*.py")):
        relative = file.relative_to(root)
        if relative.parts[0] == "orchestrator":
            continue
        for name in _imported(ast.parse(file.read_bytes())):
            if name not in found and importlib.util.find_spec(name) is None:
                found[name] = relative.as_posix()
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module.partition(".")[0]


if __name__ == "__main__":
    sys.exit(packages() if sys.argv[1] == "packages" else code(Path(sys.argv[2])))
