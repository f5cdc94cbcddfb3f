"""The modules of one model's own program, apart from those of any other: two versions of it live in one server.

Each program is imported as if it were alone and its folders stood first on the path, so that `import features` finds
its own; what is already installed or part of Python is shared as ever. Nothing is written beside the code.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

# One program at a time shows its modules to the rest of the process.
_SHOWING = threading.RLock()
_OURS = frozenset({"orchestrator", "components"})


class Code(MetaPathFinder):
    """A program: the folders its modules are found in, and the modules it has imported."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = [str(folder) for folder in folders]
        self.names = {name for folder in folders for name in _importable(folder)} - sys.stdlib_module_names - _OURS
        self.modules: dict[str, ModuleType] = {}
        self._builtins: Mapping[str, Any] = {**vars(builtins), "__import__": self._import}
        self._depth = 0
        self._is_loading = False

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Its modules are shown while it starts; threads that it starts and waits for import what they like."""
        with self.shown():
            self._is_loading = True
            try:
                yield
            finally:
                self._is_loading = False

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While this lasts its modules are where anybody finds them, as unpickling does and its own imports do."""
        with _SHOWING:
            self._depth += 1
            if self._depth > 1:
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            hidden = {name: module for name, module in sys.modules.copy().items() if _top(name) in self.names}
            said = sys.argv
            for name in hidden:
                del sys.modules[name]
            sys.modules.update(self.modules)
            sys.meta_path.insert(0, self)
            # kserve reads the command line when it is imported, and ends a program whose options it does not know.
            sys.argv = said[:1]
            try:
                yield
            finally:
                sys.argv = said
                sys.meta_path.remove(self)
                self.modules = {name: each for name, each in sys.modules.copy().items() if _top(name) in self.names}
                for name in self.modules:
                    del sys.modules[name]
                sys.modules.update(hidden)
                self._depth -= 1

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """One of its modules, with a loader that lets it go on finding its own after it was imported."""
        if _top(fullname) not in self.names:
            return None
        spec = PathFinder.find_spec(fullname, self.folders if path is None else path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self._builtins)
        return spec

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """The import statement in its modules: one that stands in a function finds the program's own too."""
        within = str((globals or {}).get("__package__") or "") if level else name
        if _top(within) not in self.names or self._is_loading:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        known = None if level else self.modules.get(name)
        if known is not None and all(hasattr(known, each) for each in fromlist or ()):
            # A statement in a function that runs for each request: nothing is left to import.
            return known if fromlist else self.modules[_top(name)]
        with self.shown():
            return builtins.__import__(name, globals, locals, fromlist or (), level)


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, own: Mapping[str, Any]) -> None:
        super().__init__(fullname, path)
        self._own = own

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._own
        super().exec_module(module)

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        # Without these no compiled file is read or written: the folder keeps the digest it has.
        raise OSError(path)


def _importable(folder: Path) -> Iterator[str]:
    """The names of modules and packages directly in a folder."""
    for path in folder.iterdir():
        name = path.name.partition(".")[0]
        if not name.isidentifier():
            continue
        if path.suffix in (".py", ".so", ".pyd") or (path.is_dir() and any(path.rglob("*.py"))):
            yield name


def _top(name: str) -> str:
    return name.partition(".")[0]
