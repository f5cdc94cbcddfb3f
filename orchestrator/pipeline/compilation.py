"""The program that has the KFP SDK compile a Python file: `python -P compilation.py FILE NAME KIND OUT`.

It runs in a process of its own, so that neither the SDK nor the user's code is ever part of ours. It writes the IR to
OUT, or prints what is wrong as one line of JSON after `MARK`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

MARK = "::orchestrator "


def main(path: str, name: str, kind: str, target: str) -> dict[str, Any]:
    """Compile one pipeline or component; what is wrong, or nothing."""
    file = Path(path).resolve()
    sys.path.insert(0, str(file.parent))
    try:
        module = _loaded(file)
        found = _chosen(module, name, kind)
        if isinstance(found, dict):
            return found
        from kfp import compiler

        compiler.Compiler().compile(found, target)
    except SyntaxError as error:
        at = [error.filename or path, error.lineno or 0, error.offset or 0]
        return {"message": f"not Python: {error.msg}", "at": at, "from": []}
    except SystemExit as error:
        return {"message": f"the file ends the program itself: sys.exit({error.code!r})", **_places(error, file)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  Whatever the user's code raises is theirs to read.
        return {"message": f"{type(error).__name__}: {error}", **_places(error, file)}
    return {}


def _loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _chosen(module: ModuleType, name: str, kind: str) -> Any:
    """What is compiled; or what is wrong with the choice, and what there is."""
    from kfp.dsl import base_component, graph_component

    whole = {key: value for key, value in vars(module).items() if isinstance(value, base_component.BaseComponent)}
    pipelines = {
        key: value
        for key, value in whole.items()
        if isinstance(value, graph_component.GraphComponent) and value.pipeline_func.__module__ == module.__name__
    }
    if name in whole:
        return whole[name]
    by_title = [value for value in pipelines.values() if value.name == name]
    if len(by_title) == 1:
        return by_title[0]
    if not name and len(pipelines) == 1:
        return next(iter(pipelines.values()))
    known = whole if kind == "component" or name else pipelines
    return {"missing": name, "known": sorted(known), "plain": name in vars(module)}


def _places(error: BaseException, file: Path) -> dict[str, Any]:
    """Where in the user's own files it happened, the innermost last; the SDK's lines help nobody."""
    home = file.parent
    frames = [
        [frame.filename, frame.lineno or 0, 0]
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(home) and "site-packages" not in frame.filename
    ]
    return {"at": frames[-1] if frames else [str(file), 0, 0], "from": frames[:-1]}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if told := main(*sys.argv[1:]):
        print(f"\n{MARK}{json.dumps(told)}")
        sys.exit(1)
