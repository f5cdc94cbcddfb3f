"""Python files with `@dsl.pipeline` or `@dsl.component` in them, compiled by the installed KFP SDK."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestrator import ir
from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.pipeline import compilation

_CALLS = 8
"""Callers that are named; a recursion without end has a thousand."""


def split(file: Path) -> tuple[Path, str] | None:
    """`FILE.py` or `FILE.py:NAME` as the file and the name; None for any other file."""
    if file.suffix == ".py":
        return file, ""
    path, colon, name = str(file).rpartition(":")
    return (Path(path), name) if colon and path.endswith(".py") else None


def compile(file: Path, name: str, *, kind: str = "pipeline") -> tuple[PipelineSpec, PlatformSpec]:
    """The IR of a pipeline or component of a file; without a name, of its only pipeline. Raises PipelineError."""
    if not file.is_file():
        raise PipelineError([Problem(Location(str(file)), "there is no such file")])
    if importlib.util.find_spec("kfp") is None:
        message = f"a {kind} written in Python needs the KFP SDK to compile it"
        raise PipelineError([Problem(Location(str(file)), message, "pip install 'orchestrator[kfp]'")])
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, f"{kind}.yaml")
        # -P: the program's own folder is no place to import from.
        command = [sys.executable, "-P", compilation.__file__, str(file), name, kind, str(target)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0 and target.is_file():
            return ir.read(target)
    raise PipelineError([_problem(file, kind, done)])


def _problem(file: Path, kind: str, done: subprocess.CompletedProcess[str]) -> Problem:
    told: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith(compilation.MARK):
            told = json.loads(line.removeprefix(compilation.MARK))
    if "missing" in told:
        return _not_there(file, kind, told)
    if not told:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Problem(Location(str(file)), f"the KFP SDK does not compile it: {last}")
    path, line, column = told["at"]
    frames = [f"{_shown(each[0], file)}:{each[1]}" for each in reversed(told["from"])]
    more = [f"and {len(frames) - _CALLS} more"] if len(frames) > _CALLS else []
    calls = ", ".join(frames[:_CALLS] + more)
    message = " ".join(told["message"].split())
    place = Location(_shown(path, file), line, max(column, 1))
    return Problem(place, message, f"called from {calls}" if calls else "")


def _not_there(file: Path, kind: str, told: dict[str, Any]) -> Problem:
    name, known = told["missing"], told["known"]
    place = Location(str(file))
    if name:
        why = f"{name!r} is no @dsl.{kind}" if told["plain"] else f"there is no {kind} {name!r}"
        return Problem(place, why, did_you_mean(name, known))
    if not known:
        return Problem(place, f"there is no @dsl.{kind} in it")
    listed = ", ".join(known)
    return Problem(place, f"there are {len(known)} pipelines in it: {listed}", f"name one: {file}:{known[0]}")


def _shown(path: str, file: Path) -> str:
    """A file as the user writes it: beside the one that was named."""
    try:
        return str(file.parent / Path(path).relative_to(file.resolve().parent))
    except ValueError:
        return path
